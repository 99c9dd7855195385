import { create } from '@bufbuild/protobuf';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LoadRetries, restAfter } from './load-retries.js';
import { newSlot } from './slot.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const slotOf = (expert: string) => newSlot(create(registryV1.ExpertVersionSchema, { expert, version: '1' }));

/** Retries that tell after how many milliseconds each came. */
function retriesOf() {
  const startedAt = Date.now();
  const came: [string, number][] = [];
  const retries = new LoadRetries(1_000, ({ expert }) => came.push([expert, Date.now() - startedAt]));
  return { retries, came };
}

describe('LoadRetries', () => {
  it('comes after ever longer pauses, and from the beginning after a success', () => {
    const { retries, came } = retriesOf();
    const slot = slotOf('a');
    for (let round = 0; round < 3; round++) {
      retries.later(slot);
      vi.runAllTimers();
    }
    retries.succeeded(slot);
    retries.later(slot);
    vi.runAllTimers();
    expect(came.map(([, ms]) => ms)).toEqual([1_000, 3_000, 7_000, 8_000]);
  });

  it('lets a graph that hung for two minutes rest for eight, and keeps no other waiting', () => {
    const { retries, came } = retriesOf();
    retries.later(slotOf('hangs'), restAfter(new ThalamusError('EXPERT_CRASHED', 'no answer'), 120_000));
    retries.later(slotOf('slow'), restAfter(new ThalamusError('UPSTREAM_UNAVAILABLE', 'no store'), 120_000));
    vi.runAllTimers();
    expect(came).toEqual([
      ['slow', 1_000],
      ['hangs', 480_000],
    ]);
  });

  it('forgets what is gone', () => {
    const { retries, came } = retriesOf();
    const slot = slotOf('a');
    retries.later(slot);
    retries.forget(slot);
    vi.runAllTimers();
    expect(came).toEqual([]);
  });
});
