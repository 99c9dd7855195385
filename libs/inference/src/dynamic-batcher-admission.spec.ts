import { describe, expect, it } from 'vitest';
import { DynamicBatcher } from './dynamic-batcher.js';

describe('a request with more items than may wait', () => {
  it('is not told to come back: it would not fit an empty queue either', async () => {
    const begun: string[] = [];
    const run = (items: readonly string[]) => {
      begun.push(...items);
      return Promise.resolve([...items]);
    };
    const batcher = new DynamicBatcher<string, string>({ maxBatch: 4, maxDelayMs: 0, maxQueue: 2, run });
    const refused = await batcher.submitAll(['a', 'b', 'c']).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'EXPERT_OVERLOADED', retryAfterMs: undefined });
    expect(String(refused)).toContain('3 items, and at most 2 may wait for one graph; send fewer at once');
    expect(begun).toEqual([]);
    expect(await batcher.submitAll(['a', 'b'])).toEqual(['a', 'b']);
  });
});
