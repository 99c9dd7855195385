import { createHash } from 'node:crypto';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Mesh } from '../support/mesh.js';
import { ROOT, temporaryFolder } from '../support/paths.js';
import { startMesh } from '../support/start-mesh.js';

let mesh: Mesh;
let folder: string;
beforeAll(async () => {
  folder = temporaryFolder('verbs');
  mesh = await startMesh();
});
afterAll(async () => {
  await mesh.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface ExpertRow {
  readonly name: string;
  readonly stable: string;
  readonly kind: string;
  readonly accuracy?: number;
}

interface ExpertDetail {
  readonly stable: string;
  readonly versions: readonly {
    readonly version: string;
    readonly digest: string;
    readonly evaluation: readonly { metric: string; n: string }[];
  }[];
}

/** Classifiers of the zoo whose third version ships; of the others it is the second. */
const TRAINED_AGAIN = ['banking77', 'clinc10-domain', 'cuad-clause20'];

describe('thalamus experts', () => {
  it('lists the zoo with measured accuracies', async () => {
    const rows = await mesh.json<ExpertRow[]>(['experts', 'list']);
    const names = rows.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining([...mesh.experts, 'minilm-l6']));
    const classifiers = rows.filter(({ kind }) => kind === 'lowrank');
    expect(classifiers).toHaveLength(10);
    for (const row of classifiers) {
      expect(row.stable).toBe(TRAINED_AGAIN.includes(row.name) ? '3' : '2');
      expect(row.accuracy).toBeGreaterThan(0.4);
    }
  });

  it('shows versions with their figures', async () => {
    const { versions } = await mesh.json<ExpertDetail>(['experts', 'show', 'snips7']);
    expect(versions[0]?.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(versions[0]?.evaluation.map(({ metric }) => metric)).toEqual(
      expect.arrayContaining(['accuracy', 'macro-f1']),
    );
  });

  it('says which expert is not there', async () => {
    const { exit, stderr } = await mesh.run(['experts', 'show', 'nobody', '--json']);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'EXPERT_NOT_FOUND' } });
    expect(exit).toBe(1);
  });

  it('adds a bundle as a further version, which leaves the stable one alone', async () => {
    const bundle = copyOfSnips('3');
    const added = await mesh.json<{ expert: string; version: string }>(['experts', 'add', bundle]);
    expect(added).toMatchObject({ expert: 'snips7', version: '3' });
    const { stable, versions } = await mesh.json<ExpertDetail>(['experts', 'show', 'snips7']);
    expect(stable).toBe('2');
    expect(versions.map(({ version }) => version).sort()).toEqual(['2', '3']);
    expect(await asked('snips7')).toBe('2');
  });

  it('refuses a bundle with a flipped byte, and names the file', async () => {
    const bundle = copyOfSnips('4');
    const head = readFileSync(join(bundle, 'head.safetensors'));
    head.writeUInt8(head.readUInt8(head.length - 1) ^ 1, head.length - 1);
    writeFileSync(join(bundle, 'head.safetensors'), head);
    const { exit, stderr } = await mesh.run(['experts', 'add', bundle, '--json']);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'BUNDLE_INVALID' } });
    expect(stderr).toContain('head.safetensors');
    expect(exit).toBe(1);
  });

  it('promotes a version to stable, which then answers', async () => {
    await mesh.json(['release', 'promote', 'snips7', '3', '--reason', 'measured']);
    expect((await mesh.json<ExpertDetail>(['experts', 'show', 'snips7'])).stable).toBe('3');
    await expect.poll(() => asked('snips7'), { timeout: 15_000 }).toBe('3');
  });
});

describe('thalamus release diff', () => {
  it('compares what two versions of the mesh ask and give, with exit code 1 when callers break', async () => {
    expect(await mesh.json(['release', 'diff', 'snips7@2', 'snips7@2'])).toMatchObject({ differences: [] });
    const { breaking } = await mesh.json<{ breaking: number }>(
      ['release', 'diff', 'snips7@2', 'scicite3@2'],
      {
        exit: 1,
      },
    );
    expect(breaking).toBeGreaterThan(7);
  });

  it('says which version is not there, with exit code 3', async () => {
    const { exit, stderr } = await mesh.run(['release', 'diff', 'snips7@2', 'snips7@99', '--json']);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'EXPERT_NOT_FOUND' } });
    expect(exit).toBe(3);
  });
});

describe('thalamus keys', () => {
  it('makes a key that works until it is revoked', async () => {
    const { id, key } = await mesh.json<{ id: string; key: string }>(['keys', 'create', '--tenant', 'shop']);
    await expect.poll(() => statusWith(key), { timeout: 15_000 }).toBe(200);
    const listed = await mesh.json<{ id: string; tenant: string; revoked: boolean }[]>(['keys', 'list']);
    expect(listed.find((row) => row.id === id)).toMatchObject({ tenant: 'shop', revoked: false });
    expect(JSON.stringify(listed)).not.toContain(key);
    await mesh.json(['keys', 'revoke', id]);
    await expect.poll(() => statusWith(key), { timeout: 15_000 }).toBe(401);
    expect(
      (await mesh.json<{ id: string; revoked: boolean }[]>(['keys', 'list'])).find((row) => row.id === id)
        ?.revoked,
    ).toBe(true);
  });

  it('says which key is not there', async () => {
    const { exit, stderr } = await mesh.run(['keys', 'revoke', 'nothing', '--json']);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'RESOURCE_NOT_FOUND' } });
    expect(exit).toBe(1);
  });
});

describe('thalamus release compare', () => {
  const rows = (wrong: (item: number) => boolean) =>
    Array.from({ length: 400 }, (_, item) => {
      const label = item % 2 === 0 ? 'yes' : 'no';
      const prediction = wrong(item) ? (label === 'yes' ? 'no' : 'yes') : label;
      return JSON.stringify({ id: `item-${item}`, label, prediction });
    }).join('\n');
  const file = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, `${text}\n`);
    return path;
  };
  interface Comparison {
    readonly verdict: string;
    readonly accuracyBefore: number;
    readonly accuracyAfter: number;
    readonly nfr: number;
    readonly pfr: number;
  }

  it('counts flips and refuses a version that breaks what worked, with exit code 1', async () => {
    const before = file(
      'old.jsonl',
      rows((item) => item < 40),
    );
    const after = file(
      'new.jsonl',
      rows((item) => item >= 20 && item < 100),
    );
    const answer = await mesh.json<Comparison>(['release', 'compare', before, after], { exit: 1 });
    expect(answer.verdict).toBe('incompatible');
    expect(answer.accuracyBefore).toBeCloseTo(0.9, 12);
    expect(answer.accuracyAfter).toBeCloseTo(0.8, 12);
    expect(answer.nfr).toBeCloseTo(60 / 400, 12);
    expect(answer.pfr).toBeCloseTo(20 / 400, 12);
  });

  it('passes a version that only gains', async () => {
    const before = file(
      'before.jsonl',
      rows((item) => item < 40),
    );
    const after = file(
      'after.jsonl',
      rows(() => false),
    );
    expect(
      await mesh.json<Comparison>(['release', 'compare', '--before', before, '--after', after]),
    ).toMatchObject({ verdict: 'compatible' });
  });

  it.each([
    ['a file that is not there', 'nowhere.jsonl'],
    ['a file with a broken line', 'broken.jsonl'],
  ])('refuses %s', async (_what, name) => {
    const good = file(
      'good.jsonl',
      rows(() => false),
    );
    file('broken.jsonl', '{"id": ');
    const { exit, stderr } = await mesh.run(['release', 'compare', good, join(folder, name), '--json']);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'DATASET_INVALID' } });
    expect(exit).toBe(3);
  });
});

/** The snips7 bundle under another version, with the digests of its manifest made anew. */
function copyOfSnips(version: string): string {
  const copy = join(folder, `snips7-${version}`);
  cpSync(join(ROOT, 'zoo/experts/snips7'), copy, { recursive: true });
  const path = join(copy, 'expert.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as {
    version: string;
    files: { path: string; sha256: string }[];
  };
  for (const { path: name, sha256 } of manifest.files)
    expect(
      createHash('sha256')
        .update(readFileSync(join(copy, name)))
        .digest('hex'),
    ).toBe(sha256);
  writeFileSync(path, JSON.stringify({ ...manifest, version }));
  return copy;
}

/** Version that answers for a model name; what was said instead when none does. */
async function asked(model: string): Promise<string> {
  const { exit, stdout, stderr } = await mesh.run([
    'ask',
    'Book a table for two',
    '--model',
    model,
    '--json',
  ]);
  return exit === 0 ? (JSON.parse(stdout) as { version: string }).version : stderr;
}

async function statusWith(key: string): Promise<number> {
  const response = await fetch(`${mesh.http}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
  await response.arrayBuffer();
  return response.status;
}
