import { create } from '@bufbuild/protobuf';
import { eventsV1, TOPICS } from '@thalamus/contracts';
import { decodeEvent } from '@thalamus/events';
import { describe, expect, it } from 'vitest';
import { CorrectionBook } from './correction-book.js';

const SETTINGS = {
  correction: { priorWeight: 20, bound: 0.25, halfLifeMs: 86_400_000, memory: 1e9 },
  drift: { tolerance: 0.05, runLength: 20_000 },
};
const at = (partition: number, offset: bigint, timestampMs: number) => ({ partition, offset, timestampMs });
const make = () => new CorrectionBook(SETTINGS, () => 'error', new Map());

describe('the positions of a correction book', () => {
  it('know what was folded in although the clocks of publishers differ', () => {
    const book = make();
    book.passed(at(0, 5n, 1_000));
    book.passed(at(0, 6n, 990));
    expect(book.hasFolded(at(0, 5n, 1_000))).toBe(true);
    expect(book.hasFolded(at(0, 6n, 990))).toBe(true);
    expect(book.hasFolded(at(0, 7n, 1_001))).toBe(false);
  });

  it('begin anew with a topic that was made anew', () => {
    const book = make();
    book.passed(at(0, 5n, 1_000));
    expect(book.hasFolded(at(0, 0n, 2_000))).toBe(false);
    book.passed(at(0, 0n, 2_000));
    expect(book.hasFolded(at(0, 0n, 2_000))).toBe(true);
    expect(book.hasFolded(at(0, 1n, 1_990))).toBe(false);
  });

  it('do not go back when records are read again', () => {
    const book = make();
    book.saw(at(0, 5n, 1_000));
    book.saw(at(0, 6n, 1_001));
    book.saw(at(0, 5n, 1_000));
    expect(book.hasSeen(at(0, 6n, 1_001))).toBe(true);
  });

  it('of an earlier release, which did not say what requests it had seen, take all of them for seen until they begin', () => {
    const folded = create(eventsV1.RouteCorrectionSchema, { folded: [{ partition: 0, nextOffset: 7n }] });
    const book = new CorrectionBook(SETTINGS, () => 'error', new Map([['/folded', folded]]));
    expect(book.hasSeen(at(0, 5n, 1_000))).toBe(true);
    book.begins();
    expect(book.hasSeen(at(0, 6n, 1_001))).toBe(false);
  });
});

describe('a correction whose loss unit is not known now', () => {
  const head = { expert: 'good', version: '1', routerModel: 'fitted@1' };
  const written = (unit: 'error' | undefined) => {
    const learned = make();
    learned.fold({ ...head, unit: 'error', region: 3, predicted: 0.25, observed: 1, atMs: 1_000 });
    const records = learned.takeUnwritten().map((record) => [record.key, record] as const);
    const read = records.flatMap(([key, record]) => {
      const value = decodeEvent(TOPICS.routeCorrection, record);
      return value ? [[key, value] as const] : [];
    });
    return new CorrectionBook(SETTINGS, () => unit, new Map(read));
  };
  const keys = (book: CorrectionBook) => book.takeUnwritten().map(({ key, value }) => [key, value !== null]);
  /** Half of it has worn off. */
  const later = 1_000 + SETTINGS.correction.halfLifeMs;

  it('stays as it is written while its router model decides, and is written when the unit is known', () => {
    const book = written(undefined);
    book.sweep(later, 0, () => true);
    expect(keys(book)).toEqual([]);
    const known = written('error');
    known.sweep(later, 0, () => true);
    expect(keys(known)).toEqual([['good/3', true]]);
  });

  it('is forgotten when its router model decides no longer', () => {
    const book = written(undefined);
    book.sweep(later, 0, () => false);
    expect(keys(book)).toEqual([
      ['good/3', false],
      ['good/drift', false],
    ]);
  });
});
