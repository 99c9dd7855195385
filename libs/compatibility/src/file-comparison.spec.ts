import { ThalamusError } from '@thalamus/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Comparison } from './compare-pairs.js';
import { compareVersions } from './compare-versions.js';
import { FileComparison } from './file-comparison.js';
import { parsePredictions } from './predictions.js';
import { parseDimensions, type Dimension } from './pairs/dimensions.js';

const OPTIONS = { budget: 0.01, items: 20 };
const encoder = new TextEncoder();

interface Given {
  readonly dimensions?: readonly Dimension[];
  /** Bytes of a piece: by default the file is one. */
  readonly piece?: number;
}

function compare(before: string | Uint8Array, after: string | Uint8Array, given: Given = {}): Comparison {
  const comparison = new FileComparison({
    files: { before: 'a.jsonl', after: 'b.jsonl' },
    ...(given.dimensions ? { dimensions: given.dimensions } : {}),
  });
  feed(before, given.piece, (bytes) => comparison.before(bytes));
  comparison.endBefore();
  feed(after, given.piece, (bytes) => comparison.after(bytes));
  return comparison.result(OPTIONS);
}

function feed(file: string | Uint8Array, piece: number | undefined, take: (bytes: Uint8Array) => void): void {
  const bytes = typeof file === 'string' ? encoder.encode(file) : file;
  const size = piece ?? (bytes.length || 1);
  for (let at = 0; at < bytes.length; at += size) take(bytes.subarray(at, at + size));
}

function faultOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (ThalamusError.is(error) && error.code === 'DATASET_INVALID') return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}

type Row = Record<string, unknown>;
const file = (rows: readonly Row[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
const row = (id: number, label: string, prediction: string, more: Row = {}): Row => ({
  id: `item-${id}`,
  label,
  prediction,
  ...more,
});
const many = (n: number, prediction: (at: number, label: string) => string, more: Row = {}) =>
  Array.from({ length: n }, (_, at) => {
    const label = at % 2 === 0 ? 'yes' : 'no';
    return row(at, label, prediction(at, label), more);
  });
const right = (n: number, more: Row = {}) => file(many(n, (_, label) => label, more));

describe('a file', () => {
  it('counts alike in one piece and byte by byte, with CRLF, a byte order mark, blank lines and no last line end', () => {
    const before = many(40, (at, label) => (at < 4 ? 'é\u2028' : label), { text: 'Wie spät – 時' });
    const after = many(40, (at, label) => (at > 35 ? 'no' : label));
    const plain = compare(file(before), file(after), { dimensions: ['label', 'length'] });
    const odd = `\uFEFF${file(before).replaceAll('\n', '\r\n\r\n')}`;
    for (const piece of [1, 7, 4096])
      expect(compare(odd, file(after).trimEnd(), { dimensions: ['label', 'length'], piece })).toEqual(plain);
    expect(plain.overall.positiveFlips.count).toBe(4);
    expect(plain.overall.negativeFlips.count).toBe(2);
    expect(plain.slices.map(({ slice, n }) => [slice, n])).toEqual([
      ['length=0-32 characters', 40],
      ['label=no', 20],
      ['label=yes', 20],
    ]);
  });

  it('may hold its items in another order', () => {
    const rows = many(30, (at, label) => (at % 7 === 0 ? 'no' : label));
    expect(compare(right(30), file([...rows].reverse()))).toEqual(compare(right(30), file(rows)));
  });

  it.each([
    ['', right(2), 'a.jsonl holds no predictions.'],
    [right(2), ' \n\r\n', 'b.jsonl holds no predictions.'],
    [right(3), right(2), '1 of 3 items are in the old predictions only, such as "item-2": b.jsonl'],
    [right(2), right(3), 'b.jsonl, line 3: the item "item-2" is in the new predictions only, not in a.jsonl'],
    [right(2) + right(1), right(2), 'a.jsonl, line 3: the id "item-0" stands there twice'],
    [right(2), right(2) + right(1), 'b.jsonl, line 3: the id "item-0" stands there twice'],
    [file([{ id: '1', prediction: 'a' }]), right(1), 'a.jsonl, line 1 needs "label" as a text.'],
    [file([row(0, '', 'a')]), right(1), 'a.jsonl, line 1 needs "label" as a text.'],
    [file([{ id: '1', label: null, prediction: 'a' }]), right(1), 'a.jsonl, line 1 needs "label" as a text.'],
    [
      file([row(0, 'a', 'a', { confidence: 1 })]),
      right(1),
      'a.jsonl, line 1 has the unknown field "confidence"; known are id',
    ],
    [
      file([row(0, 'a', 'a', { score: '0.3' })]),
      right(1),
      'a.jsonl, line 1 has the text "0.3" as "score"; give a finite',
    ],
    [file([row(0, 'a', 'a', { score: null })]), right(1), 'a.jsonl, line 1 has null as "score"'],
    [
      file([row(0, 'a', 'a', { tokens: 1.5 })]),
      right(1),
      'a.jsonl, line 1 has 1.5 as "tokens"; it is a whole number',
    ],
    [file([row(0, 'a', 'a', { text: 5 })]), right(1), 'a.jsonl, line 1 has a "text" that is none.'],
    [
      '{"id": 1, "label": "a", "prediction": "a", "score": NaN}',
      right(1),
      'a.jsonl, line 1 is not JSON: NaN and Infinity are no numbers',
    ],
    [
      '{"id": 1, "label": "a", "prediction": "a", "score": 1e999}',
      right(1),
      'a.jsonl, line 1 has Infinity as "score"',
    ],
    [`${right(1)}{"id": `, right(1), 'a.jsonl, line 2 is not JSON.'],
    ['[1]', right(1), 'a.jsonl, line 1 is not a JSON object.'],
  ])('%# that cannot be compared is refused', (before, after, message) => {
    expect(faultOf(() => compare(before, after))).toContain(message);
  });

  it('that is not UTF-8, or one endless line, is refused and not kept', () => {
    expect(faultOf(() => compare(Uint8Array.of(123, 0xff, 10), right(1)))).toBe(
      'a.jsonl, line 1 is not UTF-8.',
    );
    const endless = `${right(1)}{"id": "${'x'.repeat(5 * 2 ** 20)}`;
    for (const text of [endless, `${endless}"}\n`])
      expect(faultOf(() => compare(text, right(1), { piece: 2 ** 20 }))).toContain(
        'a.jsonl, line 2 has more than 4194304 bytes',
      );
  });

  it('with a line of a megabyte is read', () => {
    const text = 'x'.repeat(2 ** 20);
    const long = right(2, { text });
    const { slices } = compare(long, long, { dimensions: ['length'], piece: 65_536 });
    expect(slices.map(({ slice, n }) => [slice, n])).toEqual([['length=over 2048 characters', 2]]);
  });
});

describe('other label names', () => {
  const named = (names: Readonly<Record<string, string>>) =>
    file(
      many(10, (_, label) => names[label] ?? label).map((item) => ({
        ...item,
        label: names[String(item['label'])] ?? item['label'],
      })),
    );

  it('in the new file are told from single items with another label', () => {
    expect(faultOf(() => compare(right(10), named({ yes: 'oui', no: 'non' })))).toBe(
      'The right labels have other names in b.jsonl than in a.jsonl: "yes" → "oui", "no" → "non". Give them one set of names in both files, for labels and predictions alike.',
    );
    expect(faultOf(() => compare(right(10), named({ yes: 'no', no: 'yes' })))).toContain(
      '"yes" → "no", "no" → "yes"',
    );
    const single = many(10, (_, label) => label).map((item, at) =>
      at === 4 ? { ...item, label: 'no' } : item,
    );
    expect(faultOf(() => compare(right(10), file(single)))).toBe(
      '1 of 10 items have another right label in b.jsonl, such as "item-4": "yes" in the old file and "no" in the new one; label them alike in both.',
    );
  });

  it('in the answers of one version alone are judged as wrong, and told', () => {
    const { verdict, notes } = compare(right(400), file(many(400, (_, label) => `intent.${label}`)));
    expect(verdict).toBe('incompatible');
    expect(notes).toEqual([
      'No answer of the new version is the right label of any item, while answers of the old one are: its labels seem to have other names.',
    ]);
  });
});

describe('few items and one class', () => {
  it('three rows decide nothing, and say how many would', () => {
    const { verdict, overall, power } = compare(right(3), right(3));
    expect(verdict).toBe('inconclusive');
    expect(overall.accuracyDifference).toMatchObject({ mean: 0 });
    expect(overall.accuracyDifference.low).toBeLessThan(-0.4);
    expect(overall.accuracyDifference.high).toBeGreaterThan(0.4);
    expect(power).toMatchObject({ difference: 0.02, hasEnough: false });
    expect(power.itemsNeeded).toBeGreaterThan(300);
    expect(power.itemsToDecide).toBeGreaterThan(370);
  });

  it('one right label gives finite figures everywhere, and says so', () => {
    const one = file(Array.from({ length: 50 }, (_, at) => row(at, 'a', 'b')));
    const comparison = compare(one, one);
    expect(comparison.notes).toContain('All items have the same right label: nothing is known of others.');
    expect(comparison.slices).toHaveLength(1);
    for (const { keptRight, backwardTrust, mcnemarP, accuracyDifference } of [
      comparison.overall,
      ...comparison.slices,
    ]) {
      expect(backwardTrust).toBe(1);
      expect(keptRight).toMatchObject({ low: 0, high: 1 });
      expect(mcnemarP).toBe(1);
      expect(Object.values(accuracyDifference).every(Number.isFinite)).toBe(true);
    }
  });
});

describe('slices', () => {
  it('by what rows say, of either file', () => {
    const before = many(20, (_, label) => label, { tenant: 'north', language: 'de', tokens: 17 });
    const after = many(20, (_, label) => label, { task: 'intents' });
    const dimensions = parseDimensions('tenant, language,length,task');
    const { slices } = compare(file(before), file(after), { dimensions });
    expect(slices.map(({ slice }) => slice)).toEqual([
      'language=de',
      'length=17-32 tokens',
      'task=intents',
      'tenant=north',
    ]);
  });

  it.each([
    [
      'length',
      {},
      {},
      'b.jsonl, line 1 has neither "text" nor "tokens", so its length is not known; slices by length need it in every row of one of the files.',
    ],
    ['tenant', {}, {}, 'b.jsonl, line 1 has no "tenant"'],
    [
      'tenant',
      { tenant: 'a' },
      { tenant: 'b' },
      'b.jsonl, line 1: the item "item-0" belongs to "tenant=b", and in a.jsonl to "tenant=a"',
    ],
  ] as const)('by %s need every row to say it', (dimension, before, after, message) => {
    expect(faultOf(() => compare(right(2, before), right(2, after), { dimensions: [dimension] }))).toContain(
      message,
    );
  });

  it('that only some rows of the old file say name the first that does not', () => {
    const half = file([row(0, 'yes', 'yes', { tenant: 'a' }), row(1, 'no', 'no')]);
    expect(faultOf(() => compare(half, right(2), { dimensions: ['tenant'] }))).toContain(
      'a.jsonl, line 2 has no "tenant"',
    );
  });

  it('that collapse make an update incompatible which is within the budget as a whole', () => {
    const n = 4000;
    const tenants = (at: number) => (at % 50 === 0 ? 'small' : 'large');
    const rows = (collapses: boolean) =>
      file(
        Array.from({ length: n }, (_, at) =>
          row(at, 'yes', collapses && tenants(at) === 'small' && at % 100 === 0 ? 'no' : 'yes', {
            tenant: tenants(at),
          }),
        ),
      );
    const options = { budget: 0.02, items: 3 };
    const comparison = new FileComparison({ files: { before: 'a', after: 'b' }, dimensions: ['tenant'] });
    comparison.before(encoder.encode(rows(false)));
    comparison.endBefore();
    comparison.after(encoder.encode(rows(true)));
    const { verdict, overall, slices, reason, items } = comparison.result(options);
    expect(overall.verdict).toBe('compatible');
    expect(verdict).toBe('incompatible');
    expect(slices.map(({ slice, verdict: own }) => [slice, own])).toEqual([
      ['tenant=large', 'compatible'],
      ['tenant=small', 'incompatible'],
    ]);
    expect(reason).toContain('Above it among all slices: tenant=small, where 40 of 80 items flipped');
    expect(items.map(({ id }) => id)).toEqual(['item-0', 'item-100', 'item-1000']);
  });

  it('of many labels raise no alarm where there is noise alone', () => {
    // 100 labels of 40 items at a flip rate of 1 %: single slices look bad by chance.
    const rows = (flips: boolean) =>
      file(
        Array.from({ length: 4000 }, (_, at) =>
          row(at, `l${at % 100}`, flips && (at * 7919) % 4000 < 40 ? 'x' : `l${at % 100}`),
        ),
      );
    expect(compare(rows(false), rows(true)).slices.every(({ verdict }) => verdict !== 'incompatible')).toBe(
      true,
    );
  });
});

describe('both ways to compare', () => {
  it('say the same of the same rows', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'é', 'x y', '"', '\\');
    const rows = fc.uniqueArray(
      fc.record({
        id: fc.string({ minLength: 1 }),
        label: name,
        before: name,
        after: name,
        slice: fc.option(name, { nil: undefined }),
      }),
      { selector: ({ id }) => id, minLength: 1, maxLength: 40 },
    );
    fc.assert(
      fc.property(rows, (list) => {
        const text = (which: 'before' | 'after') =>
          file(
            list.map(({ id, label, slice, ...own }) => ({
              id,
              label,
              prediction: own[which],
              ...(slice ? { slice } : {}),
            })),
          );
        const lists = (['before', 'after'] as const).map((which) => parsePredictions(text(which), which));
        const listed = compareVersions(lists[0]!, lists[1]!, OPTIONS.budget);
        const streamed = compare(text('before'), text('after'), { piece: 13 });
        expect({ ...listed, items: listed.items.slice(0, OPTIONS.items) }).toEqual(streamed);
      }),
      { numRuns: 60 },
    );
  });

  it('tell the largest slices alone when labels are as many as items', () => {
    const rows = Array.from({ length: 10_500 }, (_, at) => row(at, `l${Math.max(0, at - 100)}`, 'x'));
    const { slices, notes } = compare(file(rows), file(rows));
    expect(slices).toHaveLength(10_000);
    expect(slices[0]).toMatchObject({ slice: 'label=l0', n: 101 });
    expect(notes).toContain('There are 10400 slices; the 10000 largest are judged and told.');
  });
});

describe('scores', () => {
  it('tell the sizes of gains and regressions of items that have both', () => {
    const scores = (list: readonly (number | undefined)[]) =>
      file(list.map((score, at) => row(at, 'a', 'a', score === undefined ? {} : { score })));
    const { scores: changes } = compare(
      scores([0.5, 0.5, 0.5, 0.5, 0.1]),
      scores([0.7, 0.4, 0.5, 0.2]) + file([row(4, 'a', 'a')]),
    );
    expect(changes).toMatchObject({ n: 4, lower: 0.5, higher: 0.25 });
    expect(changes!.gainSize).toBeCloseTo(0.2, 12);
    expect(changes!.regressionSize).toBeCloseTo(0.2, 12);
    expect(compare(right(3), right(3)).scores).toBeUndefined();
  });
});
