import { FolderArtifactStore, importBundle } from '@thalamus/bundle';
import { registryV1 } from '@thalamus/contracts';
import { createClient } from '@thalamus/grpc';
import { createRandom } from '@thalamus/tensor';
import { freePorts, waitUntil, writePicoBase, writePicoLowRank } from '@thalamus/testing';
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { processStartedAt, writeMeshFile } from '../src/mesh/mesh-file.js';
import { createProgram } from '../src/program.js';

const services = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'thalamus-repair-release-'));
const at = (name: string) => join(folder, name);
const LABELS = ['card', 'law'];
const children: ChildProcess[] = [];

/** Starts a service as it is built. */
async function start(service: string, settings: Record<string, string>): Promise<void> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('THALAMUS_'));
  const env = {
    ...Object.fromEntries(inherited),
    THALAMUS_OPS_PORT: '0',
    THALAMUS_LOG_LEVEL: 'error',
    ...settings,
  };
  const child = fork(join(services, service, 'dist/main.js'), [], {
    ...{ env, execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  });
  children.push(child);
  await new Promise<void>((resolve, reject) => {
    child.on('message', ({ kind }: { kind: string }) => {
      if (kind === 'ready') resolve();
      else reject(new Error(`${service}: ${kind}`));
    });
    child.once('exit', (code) => {
      reject(new Error(`${service} ended while starting: ${code ?? ''}`));
    });
  });
}

/** Runs a command line; what it printed. */
async function run(...words: string[]): Promise<string> {
  let printed = '';
  const [out, err] = [process.stdout.write.bind(process.stdout), process.stderr.write.bind(process.stderr)];
  process.stdout.write = (text: string) => {
    printed += text;
    return true;
  };
  process.stderr.write = () => true;
  try {
    await (await createProgram()).parseAsync(words, { from: 'user' });
  } finally {
    process.stdout.write = out;
    process.stderr.write = err;
  }
  return printed;
}
const answerOf = async (...words: string[]) =>
  JSON.parse(await run(...words, '--json')) as Readonly<Record<string, unknown>>;

/** Rows whose label is one of their words. */
function csv(count: number, seed: number): string {
  const random = createRandom(seed);
  const lines = Array.from({ length: count }, (_, row) => {
    const label = LABELS[random.below(2)] ?? '';
    return `hello ${label} ${seed * 1_000 + row},${label}`;
  });
  return `text,label\n${lines.join('\n')}\n`;
}

const answers = (wrong: number) =>
  Array.from({ length: 50 }, (_, id) =>
    JSON.stringify({ id: String(id), label: 'card', prediction: id < wrong ? 'law' : 'card' }),
  ).join('\n');

beforeAll(async () => {
  const [port = 0] = await freePorts(1);
  const grpc = `127.0.0.1:${port}`;
  await start('updater', {
    THALAMUS_GRPC_PORT: String(port),
    THALAMUS_BUS: 'embedded',
    THALAMUS_BUS_FILE: at('events.sqlite'),
    THALAMUS_ARTIFACTS_FOLDER: at('artifacts'),
  });
  await start('worker', {
    THALAMUS_UPDATER_ADDRESS: grpc,
    THALAMUS_ARTIFACTS: 'updater',
    THALAMUS_DATA: at('worker'),
  });
  const store = new FolderArtifactStore(at('artifacts'));
  const registry = createClient(registryV1.RegistryService, { address: grpc, defaultDeadlineMs: 20_000 });
  await waitUntil('a writer is elected', async () => (await registry.getStatus({})).isLeader);
  const { digest } = await writePicoBase(at('base'), { name: 'pico' });
  for (const version of ['1', '2'])
    await writePicoLowRank(
      at(`v${version}`),
      { name: 'intents', version, seed: Number(version) },
      LABELS,
      { name: 'pico', digest },
      { rank: 2, alpha: 4 },
    );
  for (const name of ['base', 'v1', 'v2']) {
    const { digest: manifestDigest } = await importBundle(at(name), store);
    await registry.registerVersion({ version: { manifestDigest } });
  }
  registry.close();
  writeMeshFile(folder, {
    ...{ pid: process.pid, pidStartedAt: processStartedAt(process.pid), startedAt: '' },
    ...{ http: 'http://127.0.0.1:1', grpc: '127.0.0.1:1', keyFile: '', artifactsFolder: at('artifacts') },
    bus: { kind: 'embedded', file: at('events.sqlite'), brokers: '' },
    processes: [{ service: 'updater', pid: children[0]?.pid ?? 0, grpc }],
  });
  writeFileSync(at('rows.csv'), csv(120, 1));
  writeFileSync(at('judging.csv'), csv(60, 2));
  writeFileSync(at('old.jsonl'), answers(0));
  writeFileSync(at('new.jsonl'), answers(20));
}, 120_000);
afterEach(() => {
  process.exitCode = undefined;
});
afterAll(async () => {
  for (const child of children) {
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
  }
  rmSync(folder, { recursive: true, force: true });
});

describe('thalamus release repair --release', { timeout: 240_000 }, () => {
  const started = async () => {
    const files = ['--before', at('old.jsonl'), '--after', at('new.jsonl')];
    const { id } = await answerOf('release', 'start', 'intents', '2', ...files, '--data', folder);
    expect(process.exitCode).toBe(4);
    process.exitCode = undefined;
    return String(id);
  };
  const repair = (...more: string[]) => ['release', 'repair', '--mesh', folder, ...more];

  it('registers the rows, follows the job, and says where the release stands then', async () => {
    const id = await started();
    const rows = ['--data', at('rows.csv'), '--test', at('judging.csv')];
    const after = await answerOf(...repair('--release', id, ...rows, '--epochs', '2', '--seed', '5'));
    const { job, parameters } = after['repair'] as { job: string; parameters: object };
    expect(parameters).toMatchObject({
      ...{
        from: 'intents@1',
        to: 'intents@2',
        dataset: 'intents-repair@1',
        testDataset: 'intents-repair-test@1',
      },
      ...{ epochs: 2, seed: 5, method: 'mean-ce' },
    });
    // Random versions on few steps: whether it was shown to be better, and with that whether it stands, is the data's.
    const state = String(after['state']);
    expect(['repaired', 'compared']).toContain(state);
    expect(process.exitCode).toBe(after['stopped'] === '' ? undefined : 4);
    expect(after).toMatchObject({ toVersion: state === 'repaired' ? '3' : '2', repair: { ended: true } });
    const status = await run('release', 'status', id, '--data', folder);
    expect(status).toContain(
      `repair of version 2 (mean-ce on intents-repair@1, seed 5) by job ${job}, asked for by cli`,
    );
    expect(await run('jobs', 'list', '--data', folder)).toContain(
      'intents@2 against intents@1 on intents-repair@1',
    );
    await run('release', 'rollback', id, '--data', folder);
  });

  it('takes registered rows, and leaves the job to itself with --detach', async () => {
    const id = await started();
    const more = ['--release', id, '--data', 'intents-repair@1', '--epochs', '1', '--detach'];
    expect(await run(...repair(...more))).toMatch(/^Job \S+ repairs intents-2-\w+; "thalamus jobs watch/);
    const again = await answerOf(...repair(...more));
    const { job } = again['repair'] as { job: string };
    await expect(run(...repair(...more, '--seed', '1'))).rejects.toThrow(
      `by job ${job}; wait for it, or cancel`,
    );
    await run('release', 'rollback', id, '--data', folder);
    await expect(run(...repair(...more))).rejects.toThrow('it has ended. Start another one');
  });

  it.each([
    ['a release that there is not', ['--release', 'none', '--data', 'rows@1'], /No release none exists/],
    [
      'a file that there is not',
      ['--release', 'LIVE', '--data', '/nowhere.csv'],
      /\/nowhere\.csv cannot be read/,
    ],
    [
      'rows that are not registered',
      ['--release', 'LIVE', '--data', 'none@1'],
      /No data set none@1 is registered/,
    ],
  ])('refuses %s', async (_, words, message) => {
    const id = words[1] === 'LIVE' ? await started() : '';
    await expect(run(...repair(...words.map((word) => (word === 'LIVE' ? id : word))))).rejects.toThrow(
      message,
    );
    if (id !== '') await run('release', 'rollback', id, '--data', folder);
  });
});
