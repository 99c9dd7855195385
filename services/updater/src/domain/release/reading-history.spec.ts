import { create } from '@bufbuild/protobuf';
import { releaseV1 } from '@thalamus/contracts';
import { describe, expect, it } from 'vitest';
import { ReadingHistory } from './reading-history.js';

const reading = (mirrored: number) => create(releaseV1.LiveReadingSchema, { mirrored: BigInt(mirrored) });

describe('ReadingHistory', () => {
  it('keeps the first readings one by one, and later ones ever further apart', () => {
    const history = new ReadingHistory();
    for (let trials = 1; trials <= 1_000; trials++) history.note(trials, () => reading(trials));
    const kept = history.readings.map(({ mirrored }) => Number(mirrored));
    expect(kept.slice(0, 8)).toEqual([1, 2, 3, 4, 5, 6, 8, 10]);
    expect(kept.length).toBeLessThan(40);
    kept.slice(1).forEach((trials, at) => {
      expect(trials).toBeGreaterThan(kept[at] ?? Infinity);
    });
  });

  it('makes no reading that it does not keep', () => {
    const history = new ReadingHistory();
    let made = 0;
    const make = () => reading(++made);
    for (const trials of [10, 10, 11, 12, 12]) history.note(trials, make);
    expect(made).toBe(2);
    expect(history.readings).toHaveLength(2);
  });
});
