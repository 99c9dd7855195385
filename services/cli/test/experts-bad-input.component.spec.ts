import { mkdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { thalamus } from './support/run-thalamus.js';
import { orderRows, trainingFolder, type TrainingFolder } from './support/training-folder.js';

// Each test starts several processes, which take seconds where the machine is busy.
vi.setConfig({ testTimeout: 600_000 });

let folder: TrainingFolder;
beforeAll(async () => {
  folder = await trainingFolder();
  const probe = ['--method', 'probe', '--out', 'probe', '--name', 'order', '--threads', '1'];
  const made = await thalamus(['experts', 'train', '--data', 'rows.csv', '--base', 'base', ...probe], {
    folder: folder.path,
  });
  expect(made.exit, made.stderr).toBe(0);
  await mkdir(folder.at('nothing'));
});
afterAll(() => folder.remove());

const utf16 = (text: string) => Buffer.from(text, 'utf16le');
const train = (...more: string[]) => [
  ...['experts', 'train', '--out', 'never', '--name', 'order', '--base', 'base', '--threads', '1'],
  ...more,
];
const probe = (...more: string[]) => train('--method', 'probe', ...more);

/** Refused with one message and this exit code; the folder is as it was. */
async function expectRefused(args: readonly string[], exit: number, pattern: RegExp): Promise<void> {
  const before = await folder.list();
  const ended = await thalamus(args, { folder: folder.path });
  expect(ended.stderr).toMatch(pattern);
  expect(ended.stderr).not.toMatch(/ at .*:\d+:\d+/);
  // What stands in the file is never repeated.
  expect(ended.stderr).not.toContain('SECRET');
  expect(ended).toMatchObject({ exit, stdout: '' });
  expect(await folder.list()).toEqual(before);
}

describe('a file of rows that cannot be trained on is refused by name, place and cure', () => {
  it.each<[string, string | Uint8Array, RegExp]>([
    ['empty', '', /bad\.csv: the file is empty; give it a header line/],
    ['a header alone', 'text,label\n', /bad\.csv: the file has a header but no rows; add/],
    ['one class', 'text,label\nSECRET,a\nb,a\n', /bad\.csv: every row has the same label;.*at least two/],
    ['no column label', 'text,intent\nSECRET,a\n', /bad\.csv: line 1 names no column label; the first/],
    [
      'broken quotes',
      'text,label\nx,a\n"SECRET,b\n',
      /bad\.csv: line 3 opens a quote that nothing closes; close/,
    ],
    [
      'UTF-16',
      Buffer.concat([Buffer.from([0xff, 0xfe]), utf16('text,label\nx,a\n')]),
      /line 1 is not UTF-8; save/,
    ],
    [
      'UTF-16 without a mark',
      utf16('text,label\nx,a\n'),
      /line 1 holds a NUL character, as UTF-16 has it; save/,
    ],
    [
      'Latin-1',
      Buffer.from('text,label\nx,a\ncaf\u00e9,b\n', 'latin1'),
      /line 3 is not UTF-8; save the file/,
    ],
  ])('%s', async (_what, content, pattern) => {
    const before = await folder.write('bad.csv', content);
    await expectRefused(probe('--data', before), 1, pattern);
  });

  it('a file that is not there, and test rows with a label that training never saw', async () => {
    await expectRefused(probe('--data', 'nowhere.csv'), 1, /nowhere\.csv cannot be read \(ENOENT\); name/);
    await folder.write('bad.csv', 'text,label\nhello law,one\nit,SECRET\n');
    const pattern = /bad\.csv: the label on line 3 is none of the 2 that .* has; correct it or remove/;
    await expectRefused(probe('--data', 'rows.csv', '--test', 'bad.csv'), 1, pattern);
    const evaluate = ['experts', 'evaluate', './probe', '--base', 'base', '--data', 'bad.csv'];
    await expectRefused([...evaluate, '--predictions', 'p.jsonl'], 1, pattern);
  });
});

describe('rows that are learned with a word about it', () => {
  it('a text of a megabyte is cut, and a label with one row is judged by nothing', async () => {
    const long = `"${'money '.repeat(170_000)}",one\n`;
    await folder.write('odd.csv', `${orderRows(120, 1)}${long}hello it,three\n`);
    const made = await thalamus(
      ['experts', 'train', '--out', 'odd', '--base', 'base', '--method', 'probe', '--data', 'odd.csv'],
      { folder: folder.path },
    );
    expect(made.exit, made.stderr).toBe(0);
    expect(made.stdout).toMatch(/ {2}1 of 122 texts are longer than \d+ tokens and were cut\.\n/);
    expect(made.stdout).toMatch(/ {2}1 of 3 labels have a single row \(line 123\): .*add rows of the label/);
    const measured = await thalamus(
      ['experts', 'evaluate', './odd', '--base', 'base', '--data', 'odd.csv', '--json'],
      { folder: folder.path },
    );
    expect(measured.exit).toBe(0);
    expect(JSON.parse(measured.stdout)).toMatchObject({ n: 122 });
    expect(measured.stderr).toMatch(/^odd\.csv: 1 of 122 texts are longer than \d+ tokens and were cut\.\n$/);
  });
});

describe('a command line that cannot be carried out is refused', () => {
  it.each<[string, () => string[], number, RegExp]>([
    ['no rows', () => probe(), 2, /Name the rows with --data/],
    [
      'an unknown flag',
      () => probe('--data', 'rows.csv', '--colour'),
      2,
      /unknown option '--colour'[^]*--help/,
    ],
    [
      'an unknown method',
      () => train('--method', 'magic', '--data', 'rows.csv'),
      2,
      /magic.*Allowed choices are probe, lora/,
    ],
    [
      'a number out of range',
      () => train('--data', 'rows.csv', '--rate', '0'),
      2,
      /--rate.*greater than 0 and at most 1\./,
    ],
    [
      'a base that is none',
      () => probe('--data', 'rows.csv', '--base', 'nothing'),
      1,
      /expert\.json .*nothing/,
    ],
    [
      'a place that takes no folders',
      () => probe('--data', 'rows.csv', '--out', '/proc/never/x'),
      2,
      /\/proc\/never\/x.*cannot be made.*--out/,
    ],
    [
      'a job without a mesh',
      () => ['experts', 'train', '--name', 'x', '--data', 'rows.csv', '--mesh', './nowhere'],
      3,
      /No mesh runs on the data folder .*nowhere.*with --mesh\./,
    ],
    [
      'a method that texts are not trained by',
      () => ['experts', 'train', '--name', 'x', '--data', 'texts.jsonl', '--method', 'full'],
      2,
      /Masked language models are trained as lora; leave --method full away/,
    ],
    [
      'a start for a classifier',
      () => ['experts', 'train', '--name', 'x', '--data', 'rows.csv', '--from', 'y@1'],
      2,
      /--from is for masked language models/,
    ],
    [
      'options of jobs where a folder is written',
      () => probe('--data', 'rows.csv', '--dataset', 'a@1', '--detach', '--channel', 'stable', '--mesh', 'm'),
      2,
      /--dataset, --detach, --mesh, --channel: training into a folder has no such option; leave it away/,
    ],
    [
      'options of jobs where a folder is measured',
      () => ['experts', 'evaluate', './probe', '--data', 'test.csv', '--dataset', 'a@1', '--licence', 'MIT'],
      2,
      /--dataset, --licence: a folder is measured in this process.*leave it away/,
    ],
    [
      'options of folders where an expert of the mesh is measured',
      () => ['experts', 'evaluate', 'x', '--data', 'test.csv', '--base', 'base', '--threads', '1'],
      2,
      /--base, --threads: an expert of the mesh is measured by a worker.*leave it away/,
    ],
    [
      'predictions into a folder that is not there',
      () => ['experts', 'evaluate', 'mine', '--data', 'rows.csv', '--predictions', 'nowhere/p.jsonl'],
      2,
      /nowhere is no folder that can be written to.*--predictions/,
    ],
    ['a folder without an expert', () => ['experts', 'show', './nothing'], 1, /expert\.json .*nothing/],
  ])('%s', async (_what, args, exit, pattern) => {
    await expectRefused(args(), exit, pattern);
  });

  it('a bundle over another base, to measure and to import', async () => {
    const evaluate = ['experts', 'evaluate', './probe', '--data', 'test.csv', '--predictions', 'p.jsonl'];
    await expectRefused(
      [...evaluate, '--base', 'other'],
      1,
      /order stands on pico sha256:.*but the base given is pico sha256:.*--base/,
    );
    const lora = ['--rank', '2', '--epochs', '1', '--keep-method', '--max-tokens', '16'];
    const made = await thalamus(
      ['experts', 'train', '--out', 'lora', '--base', 'base', '--data', 'rows.csv', ...lora],
      { folder: folder.path },
    );
    expect(made.exit, made.stderr).toBe(0);
    // The base that ships is of another width than the one of the adapter.
    await expectRefused(
      ['experts', 'import', './lora', '--out', 'never', '--name', 'order'],
      1,
      /lora.*adapter_model\.safetensors/,
    );
  });
});
