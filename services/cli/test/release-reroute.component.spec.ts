import { openRouterBundle } from '@thalamus/bundle';
import { createRandom } from '@thalamus/tensor';
import { readRoutingTable } from '@thalamus/training';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { thalamus, type Ended } from './support/run-thalamus.js';
import { trainingFolder, type TrainingFolder } from './support/training-folder.js';

// Each test starts a process, which takes seconds where the machine is busy.
vi.setConfig({ testTimeout: 300_000 });

let folder: TrainingFolder;
beforeAll(async () => {
  folder = await trainingFolder();
  // The old version knows the law, the new one cards.
  await write('flipped', (isLaw) => (isLaw ? [0.95, 0.3] : [0.3, 0.95]));
  // The new version is the better one at both.
  await write('better', (isLaw) => (isLaw ? [0.6, 0.8] : [0.5, 0.9]));
});
afterAll(() => folder.remove());

/** Prediction files of 160 prompts of two kinds, by how often old and new are right of each. */
async function write(name: string, rightness: (isLaw: boolean) => readonly [number, number]): Promise<void> {
  const random = createRandom(4);
  const rows = Array.from({ length: 160 }, (_, at) => {
    const isLaw = at % 2 === 0;
    const words = isLaw ? 'the law court of my law' : 'please block the card lost';
    const filler = ['it', 'hello', 'world', 'money'][random.below(4)]!;
    const item = { id: `p${at}`, label: 'yes', slice: isLaw ? 'law' : 'cards' };
    const answers = rightness(isLaw).map((share) => (random.next() < share ? 'yes' : 'no'));
    return { item: { ...item, text: `${words} ${filler} ${at}` }, answers };
  });
  for (const [place, side] of ['old', 'new'].entries())
    await folder.write(
      `${name}-${side}.jsonl`,
      `${rows.map(({ item, answers }) => JSON.stringify({ ...item, prediction: answers[place] })).join('\n')}\n`,
    );
}

const here = () => ({ folder: folder.path });
const words = (before: string, after: string, out: string, ...more: string[]) => [
  ...['release', 'reroute', '--before', before, '--after', after, '--out', out],
  ...['--old', 'big-2026-03', '--new', 'big-2026-11', '--base', 'base', ...more],
];
const reroute = (...args: Parameters<typeof words>) => thalamus(words(...args), here());
const isThere = (name: string) => existsSync(folder.at(name));

function expectFault({ exit, stdout, stderr }: Ended, pattern: RegExp): void {
  expect(stderr).toMatch(pattern);
  expect(stderr).not.toMatch(/ at .*:\d+:\d+/);
  expect(stdout).toBe('');
  expect(exit).toBe(3);
}

describe('an update of a remote model that broke a kind of prompt', () => {
  it('is repaired by a router model that sends that kind to the old version', async () => {
    const { exit, stdout, stderr } = await reroute(
      ...(['flipped-old.jsonl', 'flipped-new.jsonl', 'back', '--json', '--table', 'T.jsonl'] as const),
    );
    expect(exit, stderr).toBe(0);
    const answer = JSON.parse(stdout) as Record<string, number> & { slices: Record<string, number>[] };
    expect(answer).toMatchObject({
      router: 'back',
      folder: folder.at('back'),
      old: 'big-2026-03',
      new: 'big-2026-11',
      verdict: 'repaired',
      credit: 'beyond-old',
      n: 160,
      prompts: 160,
    });
    expect(answer['accuracyRouted']! - answer['accuracyNew']!).toBeCloseTo(answer['accuracyChange']!, 12);
    expect(answer['cut']).toBeGreaterThan(0.7);
    const shares = answer.slices.map(({ slice, sentBack }) => [slice, sentBack! > 0.8, sentBack! < 0.2]);
    expect(shares).toEqual([
      ['cards', false, true],
      ['law', true, false],
    ]);

    const { manifest } = await openRouterBundle(folder.at('back'));
    expect(manifest.candidates.map(({ expert }) => expert)).toEqual(['big-2026-03', 'big-2026-11']);
    expect(manifest.description).toMatch(
      /Prompts go to big-2026-11 unless another is better by more than 0\.\d/,
    );
    const metrics = new Map(manifest.evaluation.map(({ metric, value }) => [metric, value]));
    expect(metrics.get('negative-flip-rate')).toBeCloseTo(answer['nfr']!, 6);
    expect(metrics.get('negative-flip-rate-before')).toBeCloseTo(answer['nfrBefore']!, 6);
    const table = await readRoutingTable(folder.at('T.jsonl'));
    expect(manifest.candidates[0]!.fittedOn).toEqual({ lossTable: table.digest, rows: 160 });
  });

  it('decides prompts that were not measured, as any router model does', async () => {
    const best = async (prompt: string) => {
      const { stdout, stderr, exit } = await thalamus(
        ['route', prompt, '--router', 'back', '--base', 'base', '--json'],
        here(),
      );
      expect(exit, stderr).toBe(0);
      return (JSON.parse(stdout) as { ranked: { expert: string }[] }).ranked[0]!.expert;
    };
    expect(await best('my law of the court law')).toBe('big-2026-03');
    expect(await best('the lost card please block')).toBe('big-2026-11');
  });

  it('gives the same bytes again', async () => {
    const again = await reroute(
      'flipped-old.jsonl',
      'flipped-new.jsonl',
      'again',
      '--name',
      'back',
      '--json',
    );
    expect(again.exit, again.stderr).toBe(0);
    const digestOf = async (name: string) => (await openRouterBundle(folder.at(name))).digest;
    expect(await digestOf('again')).toBe(await digestOf('back'));
  });

  it('has a report for a pull request', async () => {
    const { exit, stdout, stderr } = await reroute(
      ...(['flipped-old.jsonl', 'flipped-new.jsonl', 'reported', '--report', 'md'] as const),
    );
    expect(exit, stderr).toBe(0);
    expect(stdout).toMatch(/^### ✅ big-2026-11 beside big-2026-03: repaired\n/);
    expect(stdout).toMatch(/\n\| all \| 160 \| /);
    expect(stdout).toMatch(/\n\| law \| 80 \| /);
  });
});

describe('an update that is better throughout', () => {
  it('is told that nothing is shown, and no router model is written', async () => {
    const { exit, stdout, stderr } = await reroute('better-old.jsonl', 'better-new.jsonl', 'none');
    expect(exit, stderr).toBe(2);
    expect(stdout).toMatch(/^not-shown: Fitted on all prompts, the router sends none to the old version/);
    expect(stdout).toContain('No router model was written');
    expect(isThere('none')).toBe(false);
  });
});

describe('what is refused, before anything is written', () => {
  const row = (more: object) =>
    JSON.stringify({ id: 'p0', label: 'yes', prediction: 'no', text: 'secret words', ...more });

  it.each([
    [
      'no text',
      [{ text: undefined }],
      [{ text: undefined }],
      /a\.jsonl, line 1: the item "p0" has no "text"/,
    ],
    ['other items', [{}], [{ id: 'p1' }], /b\.jsonl, line 1: the item "p1" is not in a\.jsonl/],
    ['an id twice', [{}, {}], [{}], /a\.jsonl, line 2: the id "p0" stands on line 1 already/],
    [
      'too few prompts',
      [{}],
      [{}],
      /Prompts that differ by more than signs and spaces: 1; 100 or more are needed/,
    ],
  ])('%s', async (_, before, after, message) => {
    await folder.write('a.jsonl', before.map(row).join('\n'));
    await folder.write('b.jsonl', after.map(row).join('\n'));
    const fault = await reroute('a.jsonl', 'b.jsonl', 'refused');
    expectFault(fault, message);
    expect(fault.stderr).not.toContain('secret');
    expect(isThere('refused')).toBe(false);
  });

  it('a score that is NaN, or none where losses are made of scores', async () => {
    await folder.write('a.jsonl', row({ score: 0.5 }));
    await folder.write('b.jsonl', row({ score: 0 }).replace('"score":0', '"score":NaN'));
    expectFault(await reroute('a.jsonl', 'b.jsonl', 'refused'), /b\.jsonl, line 1 is not JSON: NaN/);
    await folder.write('b.jsonl', row({}));
    expectFault(
      await reroute('a.jsonl', 'b.jsonl', 'refused', '--loss', 'score'),
      /b\.jsonl, line 1: the item "p0" has no score/,
    );
  });

  it('a version that is never wrong', async () => {
    const better = await folder.write(
      'right.jsonl',
      Array.from({ length: 160 }, (_, at) =>
        JSON.stringify({ id: `p${at}`, label: 'yes', prediction: 'yes' }),
      ).join('\n'),
    );
    expectFault(
      await reroute('flipped-old.jsonl', better, 'refused'),
      /big-2026-11 has every prompt right: there is nothing to repair/,
    );
  });

  it('names that are none, one name for both, and a place that is taken', async () => {
    const given = ['flipped-old.jsonl', 'flipped-new.jsonl'] as const;
    expectFault(await reroute(...given, 'refused', '--old', 'Big'), /--old Big is no name of an expert/);
    expectFault(await reroute(...given, 'refused', '--old', 'big-2026-11'), /both name big-2026-11/);
    expectFault(await reroute(...given, 'base'), /base is there already; name a new folder with --out/);
    expectFault(
      await reroute(...given, 'refused', '--table', 'rows.csv'),
      /rows\.csv is there already; name a new file with --table/,
    );
    expectFault(await reroute(...given, 'refused', '--json', '--report', 'md'), /exclude each other/);
    expect(isThere('refused')).toBe(false);
  });
});
