import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { expertName, readRoutingTable } from './routing-table.js';

const folder = mkdtempSync(join(tmpdir(), 'thalamus-table-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const META = {
  set: 'made',
  models: ['org/Big-1.0', 'small'],
  price_usd_per_mtok: [2, 0.5],
  size: ['8x7B', null],
};
const rowsOf = (
  count: number,
  change: (row: Record<string, unknown>, at: number) => unknown = (row) => row,
) =>
  Array.from({ length: count }, (_, at) =>
    change({ id: `r${at}`, prompt: `prompt ${at}`, scores: [1, 0.25] }, at),
  );
let files = 0;
const write = (lines: readonly unknown[], pack = false) => {
  const text = `${lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n')}\n`;
  const path = join(folder, `t${files++}.jsonl`);
  writeFileSync(path, pack ? gzipSync(text) : text);
  return path;
};
const readRows = (count: number, change?: Parameters<typeof rowsOf>[1], meta: object = META) =>
  readRoutingTable(write([{ meta }, ...rowsOf(count, change)]));

describe('readRoutingTable', () => {
  it('reads scores as errors, packed or plain, with the same digest', async () => {
    const lines = [{ meta: META }, ...rowsOf(60)];
    const plain = await readRoutingTable(write(lines));
    const packed = await readRoutingTable(write(lines, true));
    expect(packed).toEqual(plain);
    expect(plain.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(plain.unit).toBe('error');
    expect(plain.rows).toHaveLength(60);
    expect([...plain.rows[0]!.losses]).toEqual([0, 0.75]);
    expect(plain.models).toEqual([
      { name: 'org/Big-1.0', expert: 'big-1-0', price: 2, parameters: 56e9 },
      { name: 'small', expert: 'small', price: 0.5 },
    ]);
  });

  it('keeps separators inside a prompt, takes results by name, and null for no result', async () => {
    const table = await readRows(60, (row) => ({
      ...row,
      prompt: 'a\u2028b\u0085c',
      scores: { small: 1, 'org/Big-1.0': 0.5 },
    }));
    expect(table.rows[3]!.prompt).toBe('a\u2028b\u0085c');
    expect([...table.rows[3]!.losses]).toEqual([0.5, 0]);
    const three = { ...META, models: ['a', 'b', 'c'], price_usd_per_mtok: undefined, size: undefined };
    const gaps = await readRows(60, (row) => ({ ...row, scores: [1, null, 0] }), three);
    expect([...gaps.rows[0]!.losses]).toEqual([0, NaN, 1]);
  });

  it('takes the range of scores from what the table says of them', async () => {
    const judge = await readRows(50, (row) => ({ ...row, scores: [10, 5.5] }), {
      ...META,
      score: 'judge 1..10',
    });
    expect([...judge.rows[0]!.losses]).toEqual([0, 0.5]);
  });

  it('says what is odd and leaves out what is not usable', async () => {
    const table = await readRows(55, (row, at) => (at < 3 ? { ...row, scores: [1, null] } : row), {
      ...META,
      n: 70,
    });
    expect(table.rows).toHaveLength(52);
    expect(table.skipped).toBe(3);
    expect(table.notes.join(' ')).toMatch(/promises 70 rows, 55 follow.*3 rows/);
  });

  const at =
    (line: number, change: (row: Record<string, unknown>) => unknown) =>
    (row: Record<string, unknown>, index: number) => (index === line - 2 ? change(row) : row);
  it.each([
    ['scores beside losses', at(7, (row) => ({ ...row, losses: [0, 0] })), /line 7 has scores and losses/],
    [
      'losses among scores',
      at(8, ({ scores, ...row }) => ({ ...row, losses: scores })),
      /line 8 has losses where the lines before have scores/,
    ],
    [
      'another scale',
      at(9, (row) => ({ ...row, scores: [87, 60] })),
      /line 9 has the score 87 outside 0 to 1: scales are mixed/,
    ],
    ['too few results', at(5, (row) => ({ ...row, scores: [1] })), /line 5 has 1 results for 2 models/],
    [
      'too many results',
      at(5, (row) => ({ ...row, scores: [1, 0, 1] })),
      /line 5 has 3 results for 2 models/,
    ],
    [
      'an unknown model',
      at(4, (row) => ({ ...row, scores: { small: 1, other: 0 } })),
      /line 4 names the model "other", which the meta line does not/,
    ],
    ['an id again', at(6, (row) => ({ ...row, id: 'r0' })), /line 6 has the id "r0" of line 2/],
    ['NaN', at(3, () => '{"id": "x", "prompt": "y", "scores": [NaN, 1]}'), /line 3 holds NaN or Infinity/],
    [
      'a number too large to be finite',
      at(3, () => '{"id": "x", "prompt": "y", "scores": [1e999, 1]}'),
      /line 3 .*(finite|number)/,
    ],
    [
      'text where a number belongs',
      at(3, (row) => ({ ...row, scores: ['1', 1] })),
      /line 3 is wrong at scores/,
    ],
    [
      'no results',
      at(3, ({ scores, ...row }) => ({ ...row, old: scores })),
      /line 3 has neither scores nor losses/,
    ],
    ['no JSON', at(10, () => '{"id": '), /line 10 is not JSON/],
  ])('refuses %s with its line', async (_, change, pattern) => {
    await expect(readRows(60, change)).rejects.toMatchObject({
      code: 'DATASET_INVALID',
      message: expect.stringMatching(pattern) as string,
    });
  });

  it.each([
    ['no models', { set: 'x' }, /line 1 names no models/],
    [
      'prices of other models',
      { ...META, price_usd_per_mtok: [1] },
      /line 1 has 1 values of price_usd_per_mtok for 2 models/,
    ],
    ['the same name twice', { ...META, models: ['a/m.1', 'b/M-1'] }, /both "m-1"/],
  ])('refuses a meta line with %s', async (_, meta, pattern) => {
    await expect(readRows(60, undefined, meta)).rejects.toThrow(pattern);
  });

  it('refuses losses without a unit, negative ones, and errors above 1', async () => {
    const losses = (values: readonly number[]) => (row: Record<string, unknown>) => ({
      id: row['id'],
      prompt: 'p',
      losses: values,
    });
    await expect(readRows(60, losses([1, 2]))).rejects.toThrow(/line 2 has losses, but meta.lossUnit/);
    await expect(readRows(60, losses([-1, 2]), { ...META, lossUnit: 'nats' })).rejects.toThrow(
      /line 2 has the loss -1/,
    );
    await expect(readRows(60, losses([1, 2]), { ...META, lossUnit: 'error' })).rejects.toThrow(
      /scales are mixed/,
    );
    expect((await readRows(60, losses([1, 2]), { ...META, lossUnit: 'nats' })).unit).toBe('nats');
  });

  it('refuses fewer than 50 usable rows, an empty file, a file that is not there, a cut one and what is not UTF-8', async () => {
    await expect(readRows(49)).rejects.toThrow(/has 49 usable rows; a router needs at least 50/);
    const empty = join(folder, 'empty');
    writeFileSync(empty, '');
    await expect(readRoutingTable(empty)).rejects.toThrow(/line 1 is missing/);
    await expect(readRoutingTable(join(folder, 'none'))).rejects.toThrow(/none cannot be read \(ENOENT\)/);
    const cut = join(folder, 'cut.gz');
    writeFileSync(cut, gzipSync(`${JSON.stringify({ meta: META })}\n${'x'.repeat(5000)}`).subarray(0, 60));
    await expect(readRoutingTable(cut)).rejects.toThrow(/gzip file ends or breaks/);
    const latin = join(folder, 'latin');
    writeFileSync(
      latin,
      Buffer.concat([Buffer.from(`${JSON.stringify({ meta: META })}\n`), Buffer.from([0xff, 0xfe, 10])]),
    );
    await expect(readRoutingTable(latin)).rejects.toThrow(/is not UTF-8/);
  });

  it('reads no more than its limits', async () => {
    const path = write([{ meta: META }, ...rowsOf(60)]);
    await expect(readRoutingTable(path, { maxLineCharacters: 20 })).resolves.toBeDefined();
    await expect(readRoutingTable(path, { maxBytes: 500 })).rejects.toThrow(/limit of 500 bytes/);
    const long = write([{ meta: META }, `{"id": "x", "prompt": "${'y'.repeat(300_000)}`]);
    await expect(readRoutingTable(long, { maxLineCharacters: 100_000 })).rejects.toThrow(
      /line 2 is longer than 100000 characters/,
    );
  });
});

describe('expertName', () => {
  it.each([
    ['mistralai/Mixtral-8x7B-Instruct-v0.1', 'mixtral-8x7b-instruct-v0-1'],
    ['GPT 4 (turbo)', 'gpt-4-turbo'],
    ['--x--', 'x'],
  ])('makes %s a name of an expert', (name, made) => {
    expect(expertName(name)).toBe(made);
  });
});
