import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, symlink } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startThalamus, thalamus, type Ended } from './support/run-thalamus.js';
import { trainingFolder, type TrainingFolder } from './support/training-folder.js';

// Each test starts several processes, which take seconds where the machine is busy.
vi.setConfig({ testTimeout: 600_000 });

let folder: TrainingFolder;
beforeAll(async () => {
  folder = await trainingFolder();
});
afterAll(() => folder.remove());

const here = () => ({ folder: folder.path });
const words = (out: string, ...more: string[]) => [
  ...['experts', 'train', '--name', 'order', '--data', 'rows.csv', '--base', 'base', '--threads', '1'],
  ...['--out', out, ...more],
];
/** Branches on batches of four rows: steps enough to come in between. */
const LORA = ['--keep-method', '--rank', '2', '--batch', '4', '--epochs', '6', '--patience', '100'];
const train = (out: string, ...more: string[]) => thalamus(words(out, ...more), here());
const isThere = (name: string) => existsSync(folder.at(name));

async function digestOf(out: string): Promise<string> {
  const shown = await thalamus(['experts', 'show', `./${out}`, '--json'], here());
  expect(shown.exit, shown.stderr).toBe(0);
  return (JSON.parse(shown.stdout) as { readonly digest: string }).digest;
}

function expectFault({ exit, stdout, stderr }: Ended, code: number, pattern: RegExp): void {
  expect(stderr).toMatch(pattern);
  expect(stderr).not.toMatch(/ at .*:\d+:\d+/);
  expect(stdout).toBe('');
  expect(exit).toBe(code);
}

describe('a run that is interrupted', () => {
  it('keeps a checkpoint, leaves with 130, and ends with the same bytes as one that was not', async () => {
    expect((await train('whole', ...LORA)).exit).toBe(0);

    const run = startThalamus(words('stopped', ...LORA), here());
    await run.says(/training {2}\d+\/\d+.*loss/);
    // npm and a starter pass the signal of the terminal on: the same key press comes twice.
    run.interrupt();
    run.interrupt();
    const interrupted = await run.ended;
    expectFault(interrupted, 130, /Interrupted; a checkpoint is kept in .*stopped\.training.*--restart/);
    expect(isThere('stopped')).toBe(false);
    expect(isThere('stopped.training/checkpoint.safetensors')).toBe(true);
    const logged = (await readFile(folder.at('stopped.training/log.jsonl'), 'utf8')).trimEnd().split('\n');
    const done = (JSON.parse(logged.at(-1)!) as { readonly step: number }).step;

    expectFault(
      await train('stopped', ...LORA, '--seed', '5'),
      2,
      /checkpoint of a run with other data, base, seed or settings.*--restart/,
    );
    const resumed = await train('stopped', ...LORA);
    expect(resumed.exit, resumed.stderr).toBe(0);
    // Neither embedded nor fitted again, and on from the next step.
    expect(resumed.stderr).not.toContain('fitting');
    expect(Number(/training {2}(\d+)\//.exec(resumed.stderr)?.[1])).toBe(done + 1);
    expect(isThere('stopped.training')).toBe(false);
    expect(await digestOf('stopped')).toBe(await digestOf('whole'));
  });
});

describe('a second start into the same folder', () => {
  it('is refused while the first one runs; that one is not disturbed', async () => {
    const first = startThalamus(words('twice', ...LORA, '--epochs', '60'), here());
    await first.says(/training {2}\d+\//);
    const second = await train('twice', '--method', 'probe');
    first.interrupt();
    expectFault(second, 2, /Another run trains into .*twice; wait for it.*--out/);
    expectFault(await first.ended, 130, /a checkpoint is kept/);
    expect((await train('twice', '--method', 'probe', '--restart')).exit).toBe(0);
    expect(isThere('twice.training')).toBe(false);
  });

  it('replaces an expert as a whole, and nothing else', async () => {
    const before = await digestOf('twice');
    expect((await train('twice', '--method', 'probe', '--seed', '3')).exit).toBe(0);
    expect(await digestOf('twice')).not.toBe(before);
    await mkdir(folder.at('mine'));
    await folder.write('mine/notes.txt', 'mine');
    const listed = await folder.list();
    expectFault(await train('mine', '--method', 'probe'), 2, /mine exists and is no expert's bundle/);
    expect(await folder.list()).toEqual(listed);
  });
});

describe('a run that cannot end well', () => {
  it('stops where a loss or weight is not finite, with step and tensor, and writes no bundle', async () => {
    // A head that learns 1e308 times as fast as the branches overflows at its first step.
    const fault = await train('diverged', ...LORA, '--rate', '1e-320', '--head-rate', '1');
    expectFault(
      fault,
      1,
      /Training stopped at step \d+: .*head\.weight.* is (NaN|-?Infinity)\. .*lower learning rate/,
    );
    expect(isThere('diverged')).toBe(false);
    expect(isThere('diverged.training/checkpoint.safetensors')).toBe(false);
  });

  it('says that the disk is full where it keeps a checkpoint, and keeps the one before', async () => {
    const run = startThalamus(words('full', ...LORA), here());
    await run.says(/training {2}\d+\/\d+.*loss/);
    run.interrupt();
    expect((await run.ended).exit).toBe(130);
    const checkpoint = folder.at('full.training/checkpoint.safetensors');
    const before = await readFile(checkpoint);
    // A device that really has no space left, where the next checkpoint is first written.
    await symlink('/dev/full', `${checkpoint}.writing`);
    expectFault(
      await train('full', ...LORA, '--checkpoint-minutes', '1e-9'),
      1,
      /The disk is full: .*checkpoint\.safetensors needs .*Free space and run the same command again/,
    );
    expect(await readFile(checkpoint)).toEqual(before);
    expect(isThere('full')).toBe(false);
    expect(await folder.list()).not.toContain('full.training/checkpoint.safetensors.writing');

    const log = folder.at('full.training/log.jsonl');
    await rm(log);
    await symlink('/dev/full', log);
    expectFault(await train('full', ...LORA), 1, /The disk is full: .*log\.jsonl needs/);
    expect(await readFile(checkpoint)).toEqual(before);
  });

  it('says that the disk is full where it writes bundle and predictions, and leaves no part of them', async () => {
    expect((await train('probe', '--method', 'probe')).exit).toBe(0);
    const listed = await folder.list();
    const tight = { ...here(), fileBlocks: 4 };
    const long = ['--method', 'probe', '--description', '\u4e2d'.repeat(2_000)];
    expectFault(await thalamus(words('never', ...long), tight), 1, /The disk of .* has no space left; free/);
    const evaluate = ['experts', 'evaluate', './probe', '--data', 'test.csv', '--base', 'base'];
    expectFault(
      await thalamus([...evaluate, '--predictions', 'p.jsonl', '--threads', '1'], tight),
      1,
      /The disk is full: p\.jsonl needs/,
    );
    expect(await folder.list()).toEqual(listed);
  });
});
