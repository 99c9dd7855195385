import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Mesh } from '../support/mesh.js';
import { temporaryFolder } from '../support/paths.js';
import { thalamus } from '../support/run-command.js';
import { startMesh } from '../support/start-mesh.js';

let mesh: Mesh;
let folder: string;
beforeAll(async () => {
  folder = temporaryFolder('jobs');
  mesh = await startMesh();
});
afterAll(async () => {
  await mesh.stop();
  rmSync(folder, { recursive: true, force: true });
});

const MOODS: readonly (readonly [label: string, openings: readonly string[]])[] = [
  ['praise', ['I love', 'What a great', 'Thank you for the wonderful', 'I am so happy with', 'Brilliant,']],
  [
    'complaint',
    ['I hate', 'What a terrible', 'I am angry about the awful', 'I am so disappointed with', 'Useless,'],
  ],
];
const THINGS = [
  'phone',
  'hotel',
  'meal',
  'delivery',
  'support team',
  'website',
  'car',
  'concert',
  'teacher',
  'camera',
];

/** Labelled texts of two moods. */
function csv(name: string, things: readonly string[]): string {
  const rows = MOODS.flatMap(([label, openings]) =>
    openings.flatMap((opening) => things.map((thing) => `"${opening} ${thing}",${label}`)),
  );
  const path = join(folder, name);
  writeFileSync(path, ['text,label', ...rows, ''].join('\n'));
  return path;
}

interface JobJson {
  readonly id: string;
  readonly state: string;
  readonly outputs: readonly { readonly name: string; readonly digest: string }[];
  readonly result: Record<string, unknown> & {
    readonly evaluation: readonly { metric: string; value: number }[];
  };
}

describe('jobs', () => {
  it('train a probe expert, which then answers; evaluate it; both are listed', async () => {
    const data = csv('moods.csv', THINGS.slice(0, 7));
    const test = csv('moods-test.csv', THINGS.slice(7));
    const arguments_ = [
      'experts',
      'train',
      '--name',
      'moods',
      '--data',
      data,
      '--test',
      test,
      '--licence',
      'CC0-1.0',
    ];
    const trained = await jobOf([...arguments_, '--mesh', mesh.dataFolder]);
    expect(trained.state).toBe('succeeded');
    expect(trained.result).toMatchObject({ expert: 'moods', version: '1' });
    expect(accuracy(trained)).toBeGreaterThan(0.8);

    const answer = async () => {
      const { exit, stdout } = await mesh.run(['ask', 'I love this sofa', '--model', 'moods', '--json']);
      return exit === 0 ? (JSON.parse(stdout) as { output: { label: string } }).output.label : exit;
    };
    await expect.poll(answer, { timeout: 30_000 }).toBe('praise');

    const out = join(folder, 'predictions.jsonl');
    const judged = await jobOf([
      'experts',
      'evaluate',
      'moods',
      '--data',
      test,
      '--out',
      out,
      '--mesh',
      mesh.dataFolder,
    ]);
    expect(judged.state).toBe('succeeded');
    expect(accuracy(judged)).toBeCloseTo(accuracy(trained), 6);
    expect(existsSync(out)).toBe(true);
    expect(readFileSync(out, 'utf8').trim().split('\n')).toHaveLength(30);
    // What the mesh keeps is compared by its digest like a file.
    const { digest } = judged.outputs.find(({ name }) => name === 'predictions')!;
    expect(
      await mesh.json(['release', 'compare', '--before', digest, '--after', out, '--budget', '0.2']),
    ).toMatchObject({ n: 30, nfr: 0, pfr: 0, verdict: 'compatible' });

    const listed = await mesh.json<JobJson[]>(['jobs', 'list']);
    expect(listed.map(({ id }) => id)).toEqual(expect.arrayContaining([trained.id, judged.id]));
    expect(await mesh.json<JobJson>(['jobs', 'show', trained.id])).toMatchObject({ state: 'succeeded' });
  });

  it('refuse rows that are none before anything is sent', async () => {
    const path = join(folder, 'bad.csv');
    writeFileSync(path, 'words,mood\nhello,good\n');
    const given = ['--name', 'bad', '--data', path, '--mesh', mesh.dataFolder, '--json'];
    const { exit, stderr } = await thalamus(['experts', 'train', ...given]);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'DATASET_INVALID' } });
    expect(stderr).toContain('bad.csv');
    expect(exit).toBe(1);
  });
});

/** Runs a verb of a job with --json: `--data` is the rows here, so the mesh is named by --mesh. */
async function jobOf(args: readonly string[]): Promise<JobJson> {
  const { exit, stdout, stderr } = await thalamus([...args, '--json'], { timeoutMs: 120_000 });
  if (exit !== 0) throw new Error(`thalamus ${args.join(' ')} ended with ${exit}: ${stderr}`);
  return JSON.parse(stdout) as JobJson;
}

function accuracy({ result }: JobJson): number {
  return result.evaluation.find(({ metric }) => metric === 'accuracy')?.value ?? 0;
}
