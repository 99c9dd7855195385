import { openBundle } from '@thalamus/bundle';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { holdFile } from '../src/exclusive-file.js';
import { startThalamus, thalamus, type Ended } from './support/run-thalamus.js';
import { orderRows, trainingFolder, type TrainingFolder } from './support/training-folder.js';

// Each test starts several processes, which take seconds where the machine is busy.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

interface Made {
  readonly expert: string;
  readonly digest: string;
  readonly metrics: Readonly<Record<string, number>>;
}

interface Evaluation {
  readonly normalized: number;
  readonly tasks: readonly {
    readonly task: string;
    readonly n: number;
    readonly parent: number;
    readonly composed: number;
    readonly normalized: number;
  }[];
  readonly bytes: number;
  readonly parentBytes: number;
  readonly routerAccuracy: number;
  readonly protocol: string;
}

interface Probed {
  readonly basis: string;
  readonly tasks: readonly {
    readonly parent: string;
    readonly rows: number;
    readonly split: string;
    readonly alone: number;
    readonly composed: number;
    readonly composedLow: number;
    readonly composedHigh: number;
  }[];
}

let folder: TrainingFolder;
const here = () => ({ folder: folder.path });
const compose = (...words: string[]) => thalamus(['compose', ...words], here());
const PARTS = ['--base', 'base', '--parents', 'experts'];
const ROWS = ['--data', 'order=rows.csv', '--data', 'desk=desk.csv'];
const TESTS = ['--test', 'order=test.csv', '--test', 'desk=desk-test.csv'];
const run = (out: string, ...more: string[]) =>
  compose('run', 'twin.yaml', '--out', out, '--threads', '1', ...PARTS, ...more);

/** Rows of a task with words of its own. */
function deskRows(count: number, from: number): string {
  const rows = Array.from({ length: count }, (_, index) => {
    const [word, label] = index % 2 === 0 ? ['refund', 'back'] : ['transfer', 'away'];
    return `${word} the amount to court number ${from + index},${label}\n`;
  });
  return `text,label\n${rows.join('')}`;
}

const TWIN = `merge_method: twin
base_model: pico
models:
  - model: order
  - model: desk@1
parameters: { rank: 2 }
`;

beforeAll(async () => {
  folder = await trainingFolder();
  await mkdir(folder.at('experts'));
  await folder.write('desk.csv', deskRows(120, 0));
  await folder.write('desk-test.csv', deskRows(60, 500));
  await folder.write('twin.yaml', TWIN);
  const small = ['--base', 'base', '--threads', '1', '--keep-method', '--rank', '2', '--epochs', '2'];
  for (const [name, data] of [
    ['order', 'rows.csv'],
    ['desk', 'desk.csv'],
  ] as const) {
    const words = ['experts', 'train', '--name', name, '--data', data, '--out', `experts/${name}`];
    const trained = await thalamus([...words, '--licence', 'CC0-1.0', ...small], here());
    expect(trained.exit, trained.stderr).toBe(0);
  }
});
afterAll(() => folder.remove());

function expectFault({ exit, stdout, stderr }: Ended, code: number, pattern: RegExp): void {
  expect(stderr).toMatch(pattern);
  expect(stderr).not.toMatch(/ at .*:\d+:\d+/);
  expect(stdout).toBe('');
  expect(exit).toBe(code);
}

// The caller knows what its verb answers.
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
function answer<T>({ exit, stdout, stderr }: Ended, code = 0): T {
  expect(exit, stderr).toBe(code);
  return JSON.parse(stdout) as T;
}

describe('thalamus compose methods', () => {
  it('lists methods with their parameters where no mesh runs', async () => {
    const listed = answer<{ name: string; parameters: { name: string; default: unknown }[] }[]>(
      await compose('methods', '--json'),
    );
    const twin = listed.find(({ name }) => name === 'twin');
    expect(twin?.parameters).toContainEqual(
      expect.objectContaining({ name: 'top', default: 2, minimum: 0, maximum: 64 }),
    );
    const { stdout } = await compose('methods');
    for (const { name } of listed) expect(stdout).toMatch(new RegExp(`^${name} {3}of `, 'm'));
  });
});

describe('thalamus compose run RECIPE --out', () => {
  it('makes a composition without a mesh, the same for the same recipe and seed, and measures it', async () => {
    const made = answer<Made>(await run('one', ...ROWS, ...TESTS, '--json'));
    expect(made.expert).toMatch(/^twin-[0-9a-f]{12}$/);
    expect(made.metrics['parity_max_abs']).toBeLessThan(1e-4);
    const { manifest, digest, sizeBytes } = await openBundle(folder.at('one'));
    expect(digest).toBe(made.digest);
    expect(manifest.lineage?.parents.map(({ name }) => name)).toEqual(['desk', 'order']);
    expect((await folder.list()).filter((path) => /composing|writing/.test(path))).toEqual([]);

    // Its own bundle is replaced; another folder holds the same bytes.
    const again = await run('one', ...ROWS, ...TESTS);
    expect(again.stderr).toMatch(/^merge: \d+\/\d+$/m);
    expect(again.stdout).toContain(made.digest);
    expect(again.stdout).toContain('npx thalamus compose evaluate one');
    expect(again.stdout).toMatch(/order +\d\.\d{4} +\d\.\d{4}/);

    const evaluate = ['evaluate', 'one', ...PARTS, '--threads', '1', '--json'];
    const judged = ['--data', 'rows.csv=test.csv', '--data', 'desk=desk-test.csv'];
    const measured = answer<Evaluation>(await compose(...evaluate, ...judged));
    expect(measured.tasks.map(({ task, n }) => [task, n])).toEqual([
      ['desk', 60],
      ['rows.csv', 200],
    ]);
    expect(measured.protocol).toBe('honest');
    expect(measured.bytes).toBe(sizeBytes);
    const parents = await Promise.all(
      ['desk', 'order'].map((name) => openBundle(folder.at(`experts/${name}`))),
    );
    expect(measured.parentBytes).toBe(
      parents.reduce((sum, parent) => sum + 4 * parent.manifest.parameterCount, 0),
    );
    for (const [at, name] of ['desk', 'order'].entries()) {
      const task = measured.tasks[at]!;
      expect(task.parent).toBeCloseTo(made.metrics[`parent_accuracy/${name}`]!, 5);
      expect(task.composed).toBeCloseTo(made.metrics[`accuracy/${name}`]!, 5);
      expect(task.normalized).toBe(task.composed / task.parent);
    }
    expect(measured.normalized).toBeCloseTo(made.metrics['normalized']!, 5);
    expect(measured.routerAccuracy).toBeGreaterThan(0.9);

    const swapped = compose('evaluate', 'one', '--base', 'base', '--parents', 'experts/desk', ...judged);
    expectFault(await swapped, 1, /The parent order .*not been measured.*--parents/);
    expectFault(
      await compose('evaluate', 'one', ...PARTS),
      2,
      /no test sample for desk.*--data desk=FILE\.csv/,
    );
    expectFault(
      await compose('evaluate', 'experts/desk', ...PARTS),
      1,
      /desk is lowrank and no composition.*experts evaluate/,
    );
  });

  it('is ended by Ctrl-C with nothing left behind', async () => {
    const before = await folder.list();
    const words = ['run', 'twin.yaml', '--out', 'stopped', '--threads', '1', ...PARTS, ...ROWS, ...TESTS];
    const running = startThalamus(['compose', ...words], here());
    await running.says(/^merge: /m);
    running.interrupt();
    expectFault(await running.ended, 130, /Interrupted; nothing was written/);
    expect(await folder.list()).toEqual(before);
  });

  it('fits the router to texts without labels, and needs no rows of the tasks then', async () => {
    await folder.write(
      'prompts.csv',
      (await readFile(folder.at('desk.csv'), 'utf8')).replaceAll(/,\w+$/gm, ''),
    );
    const lines = orderRows(120, 1).split('\n').slice(1, -1);
    const texts = lines.map((line) => JSON.stringify({ text: line.slice(0, line.lastIndexOf(',')) }));
    await folder.write('prompts.jsonl', texts.join('\n'));
    const prompts = ['--prompts', 'prompts.csv', '--prompts', 'prompts.jsonl'];
    const made = answer<Made>(await run('unlabelled', ...prompts, ...TESTS, '--json', '--max-loss', '100'));
    expect(made.metrics['prompts_kept']).toBeCloseTo(0.7, 2);
    expect(made.metrics['router_accuracy']).toBeGreaterThanOrEqual(0);
    expectFault(
      await run('never', '--prompts', 'mails.txt'),
      2,
      /mails\.txt: name a file\.csv .* or a file\.jsonl/,
    );
    expectFault(await run('never', '--prompts', 'none.csv'), 1, /none\.csv cannot be read \(ENOENT\)/);
  });

  it('begins again where one was killed, and refuses a folder that another run composes into', async () => {
    const words = ['run', 'twin.yaml', '--out', 'killed', '--threads', '1', ...PARTS, ...ROWS, ...TESTS];
    const running = startThalamus(['compose', ...words], here());
    await running.says(/^merge: /m);
    running.kill();
    expect((await running.ended).exit).toBe('SIGKILL');
    expect(existsSync(folder.at('killed'))).toBe(false);
    const held = holdFile(folder.at('killed.composing/run.lock'))!;
    expectFault(await compose(...words), 2, /Another run composes into .*killed; wait for it/);
    held.release();
    const made = answer<Made>(await compose(...words, '--json'));
    expect((await openBundle(folder.at('killed'))).digest).toBe(made.digest);
    expect((await folder.list()).filter((path) => /composing|writing/.test(path))).toEqual([]);
  });

  it('says that the disk is full, and leaves what stood there', async () => {
    await run('kept', ...ROWS, ...TESTS);
    const before = await folder.list();
    const { digest } = await openBundle(folder.at('kept'));
    const words = ['run', 'twin.yaml', '--out', 'kept', '--seed', '9', '--threads', '1', ...PARTS];
    const full = await thalamus(['compose', ...words, ...ROWS, ...TESTS], { ...here(), fileBlocks: 200 });
    expect(full.stderr).toMatch(/The disk of .* has no space left; free space on it/);
    expect(full.exit).toBe(1);
    expect(await folder.list()).toEqual(before);
    expect((await openBundle(folder.at('kept'))).digest).toBe(digest);
  });

  it('refuses a composition in which a parent loses too much, and writes nothing', async () => {
    // Texts of the other task: the router gives them to the other parent, whose labels they do not have.
    const odd = orderRows(60, 2).replaceAll(/,(one|two)$/gm, (_, label) =>
      label === 'one' ? ',back' : ',away',
    );
    await folder.write('odd.csv', odd);
    const before = await folder.list();
    const fault = await run('lossy', ...ROWS, '--test', 'order=test.csv', '--test', 'desk=odd.csv');
    expect(fault.stderr).toMatch(
      /desk loses \d+\.\d points of accuracy on 60 rows of its task, and 20 are allowed/,
    );
    expect(fault.exit).toBe(1);
    expect(await folder.list()).toEqual(before);
  });

  it.each([
    ['an unknown field', `${TWIN}slice: 1\n`, /bad\.yaml: .*slice \(line 7\) is unknown/],
    ['a rank that is none', TWIN.replace('rank: 2', 'rank: 0'), /rank.*\(line 6\).*whole number, 1 to 4096/],
    [
      'an unknown parent',
      TWIN.replace('order', 'nobody'),
      /No bundle of nobody is in experts; there are: desk, order.*--parents/,
    ],
    [
      'a version that is not there',
      TWIN.replace('desk@1', 'desk@7'),
      /desk has no version 7 in experts, but 1/,
    ],
    [
      'another base',
      TWIN.replace('pico', 'large'),
      /names the base large, but .*base is pico@1; name its folder with --base/,
    ],
  ])('refuses %s before any work', async (_, recipe, pattern) => {
    await folder.write('bad.yaml', recipe);
    const before = await folder.list();
    const words = ['run', 'bad.yaml', '--out', 'never', ...PARTS, ...ROWS];
    expectFault(await compose(...words), 1, pattern);
    expect(await folder.list()).toEqual(before);
  });

  it.each([
    [
      'a parent without rows',
      [...ROWS.slice(0, 2)],
      /no sample for desk \(trained on desk\.csv\).*--data desk=FILE\.csv/,
    ],
    [
      'rows of nobody',
      [...ROWS, '--data', 'law=rows.csv'],
      /--data law=rows\.csv: no parent is called law.*desk, order/,
    ],
    [
      'a file without a task',
      ['--data', 'rows.csv'],
      /--data rows\.csv: write TASK=FILE, TASK being the name/,
    ],
    ['options of the mesh', [...ROWS, '--dry-run'], /^thalamus: --dry-run: a composition into a folder/],
  ])('refuses %s', async (_, more, pattern) => {
    expectFault(await run('never', ...more), 2, pattern);
    expect(existsSync(folder.at('never'))).toBe(false);
  });

  it('refuses a folder that holds something else, and labels that a parent does not have', async () => {
    await mkdir(folder.at('mine'));
    await folder.write('mine/notes.txt', 'mine');
    expectFault(await run('mine', ...ROWS), 2, /mine exists and is no expert's bundle/);
    const fault = await run('never', ...ROWS, '--test', 'order=desk-test.csv');
    expectFault(fault, 1, /desk-test\.csv: the label on line 2 is none of the 2 that order has/);
  });

  it('goes to the mesh without --out', async () => {
    expectFault(await compose('run', 'twin.yaml'), 3, /No mesh runs on the data folder .*--mesh/);
    expectFault(await compose('run', 'twin.yaml', ...ROWS), 2, /^thalamus: --data: the mesh finds experts/);
    expectFault(
      await compose('run', 'twin.yaml', 'order'),
      2,
      /twin\.yaml is a recipe, which names its parents itself/,
    );
  });
});

describe('thalamus compose preflight RECIPE', () => {
  it('says what a composition takes, where no mesh runs', async () => {
    const facts = answer<{ obstacles: unknown[]; recipeDigest: string; sizeBytes: number }>(
      await compose('preflight', 'twin.yaml', ...PARTS, ...ROWS, '--json'),
    );
    expect(facts.obstacles).toEqual([]);
    expect(facts.recipeDigest).toMatch(/^sha256:/);
    expect(facts.sizeBytes).toBeGreaterThan(0);
  });

  it('estimates what the tasks would keep on a few rows, where there is time', async () => {
    const words = ['preflight', 'twin.yaml', ...PARTS, ...ROWS, ...TESTS, '--probe-rows', '60'];
    const { quality } = answer<{ quality: Probed }>(await compose(...words, '--json'));
    expect(quality.basis).toBe('parents');
    expect(quality.tasks.map(({ parent, rows, split }) => [parent, rows, split])).toEqual([
      ['desk', 60, 'test'],
      ['order', 60, 'test'],
    ]);
    const { metrics } = answer<Made>(await run('estimated', ...ROWS, ...TESTS, '--json'));
    // All rows of desk that judge were looked at.
    expect(quality.tasks[0]?.alone).toBeCloseTo(metrics['parent_accuracy/desk']!, 5);
    for (const { parent, composed, composedLow, composedHigh } of quality.tasks) {
      expect(Math.abs(composed - metrics[`accuracy/${parent}`]!), parent).toBeLessThan(0.2);
      expect(composed).toBeGreaterThanOrEqual(composedLow);
      expect(composed).toBeLessThanOrEqual(composedHigh);
    }
    const { stdout } = await compose(...words);
    expect(stdout).toMatch(/estimated quality, answers of the parents; intervals are of 95 %/);
    expect(stdout).toMatch(/desk +60 +\d\.\d\d +\d\.\d\d +\d\.\d\d to \d\.\d\d/);

    // Without rows that judge it takes rows that the parents may know.
    const known = answer<{ quality: Probed }>(
      await compose('preflight', 'twin.yaml', ...PARTS, ...ROWS, '--json'),
    );
    expect(known.quality.tasks.map(({ split }) => split)).toEqual(['train', 'train']);
    const none = answer<{ quality: unknown }>(await compose(...words, '--no-probe', '--json'));
    expect(none.quality).toBeNull();
  });

  it('names every obstacle, with exit code 4', async () => {
    const ended = await compose('preflight', 'twin.yaml', ...PARTS, '--json');
    const { obstacles } = answer<{ obstacles: { kind: string; parent: string; description: string }[] }>(
      ended,
      4,
    );
    expect(obstacles.map(({ kind, parent }) => [kind, parent])).toEqual([
      ['dataset', 'desk@1'],
      ['dataset', 'order@1'],
    ]);
    expect(obstacles[0]?.description).toContain('--data desk=FILE.csv');
  });
});
