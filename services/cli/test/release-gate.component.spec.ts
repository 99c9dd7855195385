import { importBundle, writeBundle, type ExpertManifest } from '@thalamus/bundle';
import { artifactV1, registryV1 } from '@thalamus/contracts';
import { createClient } from '@thalamus/grpc';
import { RemoteArtifactStore } from '@thalamus/registry';
import { freePorts, waitUntil } from '@thalamus/testing';
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeMeshFile } from '../src/mesh/mesh-file.js';
import { thalamus } from './support/run-thalamus.js';

const UPDATER = fileURLToPath(new URL('../../updater/dist/main.js', import.meta.url));
const ITEMS = 400;

describe('thalamus release start --gate', { timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'release-gate-'));
  let updater: ChildProcess;

  beforeAll(async () => {
    const [port = 0] = await freePorts(1);
    const grpc = `127.0.0.1:${port}`;
    const [bus, artifactsFolder] = [join(folder, 'events.sqlite'), join(folder, 'artifacts')];
    updater = fork(UPDATER, [], {
      env: {
        PATH: process.env['PATH'],
        THALAMUS_GRPC_PORT: String(port),
        THALAMUS_OPS_PORT: '0',
        THALAMUS_BUS: 'embedded',
        THALAMUS_BUS_FILE: bus,
        THALAMUS_ARTIFACTS_FOLDER: artifactsFolder,
        THALAMUS_LOG_LEVEL: 'error',
      },
      execArgv: [],
    });
    const options = { address: grpc, defaultDeadlineMs: 15_000 };
    const registry = createClient(registryV1.RegistryService, options);
    const artifacts = createClient(artifactV1.ArtifactService, options);
    await waitUntil('the updater writes', async () => (await registry.getStatus({})).isLeader, {
      timeoutMs: 60_000,
    });
    for (const version of ['1', '2']) {
      const path = join(folder, `bundle-${version}`);
      await writeBundle(path, manifest(version), {
        'model.onnx': Buffer.from('weights'),
        'tokenizer.json': Buffer.from('{}'),
      });
      const { digest: manifestDigest } = await importBundle(path, new RemoteArtifactStore(artifacts));
      await registry.registerVersion({ version: { manifestDigest } });
    }
    for (const client of [registry, artifacts]) client.close();
    writeMeshFile(folder, {
      ...{ pid: process.pid, pidStartedAt: '', startedAt: '', http: 'http://127.0.0.1:9', grpc: '' },
      ...{ keyFile: '', bus: { kind: 'embedded', file: bus, brokers: '' }, artifactsFolder },
      processes: [{ service: 'updater', pid: updater.pid ?? 0, grpc }],
    });
    file('before.jsonl', predictions(0));
    file('good.jsonl', predictions(1));
    file('bad.jsonl', predictions(40));
    file('gate.yaml', GATE);
  }, 120_000);
  afterAll(() => {
    updater.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
  };
  const release = async (...args: readonly string[]) => {
    const { exit, stdout, stderr } = await thalamus(['release', ...args, '--data', folder, '--json'], {
      folder,
    });
    const answer = stdout === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>);
    return { exit, stderr, answer };
  };
  const start = (after: string, ...more: readonly string[]) =>
    release('start', 'pico', '2', '--before', 'before.jsonl', '--after', after, ...more);

  it('says in a dry run what each rule says, and exits with 4 when one stops the release', async () => {
    const good = await start('good.jsonl', '--gate', 'gate.yaml', '--dry-run');
    expect(good).toMatchObject({
      ...{ exit: 0, stderr: '' },
      answer: {
        ...{ state: 'compared', stopped: '', plan: { negativeFlipBudget: 0.03 } },
        gate: {
          name: 'mine',
          rules: [
            { rule: 'flips', status: 'passed', value: 1 / ITEMS, n: ITEMS },
            { rule: 'errors', status: 'pending' },
          ],
        },
      },
    });
    const bad = await start('bad.jsonl', '--gate', 'gate.yaml', '--dry-run');
    expect(bad).toMatchObject({ exit: 4, answer: { gate: { rules: [{ status: 'failed' }, {}] } } });
    expect((await release('list')).answer).toEqual([]);
  });

  it('names file, line and field of a document that is wrong, a rule that cannot be measured, and a flag that says the same', async () => {
    file('wrong.yaml', GATE.replace('threshold: 0.03', 'treshold: 0.03'));
    const wrong = await start('good.jsonl', '--gate', 'wrong.yaml');
    expect(wrong.exit).not.toBe(0);
    expect(wrong.stderr).toContain('wrong.yaml is not a valid gate');
    expect(wrong.stderr).toContain('rules.0.treshold (line 4) is not a known field');
    file('regret.yaml', GATE.replace('errorRate', 'regret'));
    expect((await start('good.jsonl', '--gate', 'regret.yaml')).stderr).toContain(
      'the rule errors asks for regret of shadow, which no release measures',
    );
    expect((await start('good.jsonl', '--gate', 'gate.yaml', '--errors', '0.1')).stderr).toContain(
      'error_limit: the rule errors of the gate mine says it (0.02)',
    );
    expect((await start('good.jsonl', '--gate', 'none.yaml')).stderr).toContain('none.yaml cannot be read');
  });

  it('starts it, and status shows its rules', async () => {
    const started = await start('good.jsonl', '--gate', 'gate.yaml');
    expect(started.exit).toBe(0);
    const id = String(started.answer['id']);
    const { answer } = await release('status', id);
    expect(answer).toMatchObject({
      id,
      gate: { name: 'mine', rules: [{ status: 'passed' }, { status: 'pending' }] },
    });
    const text = await thalamus(['release', 'status', id, '--data', folder], { folder });
    expect(text.stdout).toMatch(
      /gate mine \(sha256:[0-9a-f]{64}\)\n {2}passed +flips +nfr of all items is 0\.25 %/,
    );
    expect(text.stdout).toMatch(/ {2}pending +errors/);
  });
});

const GATE = `version: 1
name: mine
rules:
  - { name: flips, measure: nfr, data: offline, threshold: 0.03, minimumSamples: 300 }
  - { name: errors, measure: errorRate, data: shadow, threshold: 0.02, minimumSamples: 300 }
`;

function predictions(wrong: number): string {
  return Array.from({ length: ITEMS }, (_, id) =>
    JSON.stringify({ id: String(id), label: 'a', prediction: id < wrong ? 'b' : 'a' }),
  ).join('\n');
}

function manifest(version: string): Omit<ExpertManifest, 'files'> {
  return {
    schemaVersion: 1,
    name: 'pico',
    version,
    kind: 'full',
    task: 'feature-extraction',
    description: 'A base for tests.',
    inputs: [{ name: 'input_ids', dataType: 'int64', shape: ['batch', 'sequence'] }],
    maxTokens: 16,
    parameterCount: 10,
    flopsPerToken: 20,
    precision: 'float32',
    licence: 'Apache-2.0',
    trainingData: [{ name: 'made-up', licence: 'CC0-1.0', origin: 'this test', rows: 4 }],
    evaluation: [],
    trust: { signed: false, scanned: true, backdoorTested: false },
    releaseDate: '2026-01-31',
  };
}
