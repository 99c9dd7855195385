import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readServiceTable } from './service-table.js';

const META = { set: 'faces', licence: 'MIT', models: ['a', 'b'], cost_usd_per_10k: [1, 5] };
let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'thalamus-services-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

async function read(...lines: readonly (object | string)[]) {
  const path = join(folder, 'table.jsonl');
  await writeFile(
    path,
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  );
  return readServiceTable(path);
}

describe('readServiceTable', () => {
  it('reads services, prices and answers', async () => {
    const table = await read({ meta: META }, { i: 0, y: 2, p: [2, 0], c: [0.9, 0.1], r: [1, 0] });
    expect(table).toEqual({
      set: 'faces',
      licence: 'MIT',
      services: ['a', 'b'],
      prices: [1, 5],
      labels: 3,
      rows: [
        {
          truth: 2,
          answers: [
            { label: 2, confidence: 0.9 },
            { label: 0, confidence: 0.1 },
          ],
        },
      ],
    });
  });

  it.each([
    ['no rows', [{ meta: META }], 'line 2 is missing'],
    ['no meta', [{ i: 0, y: 0, p: [0, 0], c: [1, 1] }], 'line 1 is wrong'],
    ['a price too few', [{ meta: { ...META, cost_usd_per_10k: [1] } }], '1 prices for 2 services'],
    ['an answer too few', [{ meta: META }, { i: 0, y: 0, p: [0], c: [1] }], 'line 2 has 1 labels'],
    [
      'an id twice',
      [{ meta: META }, { i: 0, y: 0, p: [0, 0], c: [1, 1] }, { i: 0, y: 0, p: [0, 0], c: [1, 1] }],
      'line 3 has the id 0',
    ],
    ['a label below 0', [{ meta: META }, { i: 0, y: -1, p: [0, 0], c: [1, 1] }], 'line 2 is wrong at y'],
    ['a broken line', [{ meta: META }, '{"i": 0'], 'line 2 is not JSON'],
  ])('refuses %s', async (_, lines, message) => {
    await expect(read(...lines)).rejects.toMatchObject({
      code: 'DATASET_INVALID',
      message: expect.stringContaining(message) as string,
    });
  });
});
