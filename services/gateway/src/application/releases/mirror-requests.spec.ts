import type { inference } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import type { LiveRelease } from './live-releases.js';
import { MirrorRequests, type MirrorBudget } from './mirror-requests.js';
import type { Comparison } from './record-comparison.js';

const RELEASE: LiveRelease = {
  ...{ id: 'r', expert: 'banking', fromVersion: '1', toVersion: '2' },
  ...{ weight: 0, mirrorShare: 1, mirrorPerSecond: 0, leaseEndsAtMs: Number.MAX_SAFE_INTEGER },
};
const BUDGET: MirrorBudget = { atOnce: 2, queue: 3, perSecond: 1_000, timeoutMs: 1_000 };

/** A mirror before a host that answers when it is told to, and a clock that is set by hand. */
function surroundings(budget: Partial<MirrorBudget> = {}) {
  const asked: {
    readonly id: string;
    readonly version: string;
    readonly leftMs: number;
    readonly signal: AbortSignal;
    readonly answer: (fault?: ThalamusError) => void;
  }[] = [];
  const told: Comparison[] = [];
  const state = { now: 0, picked: 0, isBusy: false, canAsk: true, isLive: true };
  const mirror = new MirrorRequests(
    {
      hosts: {
        run: (_expert, version, _request, { requestId, signal, deadlineAtMs }) =>
          new Promise((resolve, reject) => {
            signal.addEventListener('abort', () => {
              reject(signal.reason as ThalamusError);
            });
            const answer = (fault?: ThalamusError) => {
              if (fault) reject(fault);
              else resolve(EMPTY);
            };
            asked.push({ id: requestId, version, leftMs: deadlineAtMs - Date.now(), signal, answer });
          }),
      },
      releases: { isLive: () => state.isLive },
      canAsk: () => state.canAsk,
      comparisons: { run: (comparison) => told.push(comparison) },
      isBusy: () => state.isBusy,
      random: () => state.picked,
      now: () => state.now,
    },
    { ...BUDGET, ...budget },
  );
  let next = 0;
  /** Offers requests a second apart. */
  const offer = (count: number, release: Partial<LiveRelease> = {}, apartMs = 1_000) => {
    for (let at = 0; at < count; at++) {
      mirror.offer(mirrored(`${next++}`, { ...RELEASE, ...release }));
      state.now += apartMs;
    }
  };
  const ids = () => asked.map(({ id }) => id);
  return { mirror, asked, told, state, offer, ids };
}

const EMPTY = { outputs: [], rawOutputContents: [] } as unknown as inference.ModelInferResponse;

function mirrored(requestId: string, release: LiveRelease) {
  return {
    release,
    scope: {
      requestId,
      caller: { tenant: 'acme', role: 'viewer' as const, id: 'k' },
      signal: AbortSignal.abort(),
      deadlineAtMs: 0,
      completion: { isRecorded: true },
    },
    stableVersion: '1',
    request: {},
    response: EMPTY,
    stableMs: 7,
  };
}
/** What was woken has run. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

describe('mirroring', () => {
  it('asks the candidate after the caller has gone, and tells how the answers compare', async () => {
    const { asked, told, offer } = surroundings();
    offer(1);
    expect(asked).toEqual([]);
    await settled();
    expect(asked).toMatchObject([{ id: '0', version: '2' }]);
    // It has a time of its own.
    expect(asked[0]?.signal.aborted).toBe(false);
    expect(asked[0]?.leftMs).toBeGreaterThan(0);
    expect(asked[0]?.leftMs).toBeLessThanOrEqual(BUDGET.timeoutMs);
    asked[0]?.answer();
    await settled();
    expect(told).toMatchObject([
      { stableVersion: '1', stableMs: 7, agree: true, candidateError: undefined, release: { id: 'r' } },
    ]);
  });

  it('asks so many at once, keeps so many waiting, and drops the rest', async () => {
    const { asked, offer, ids } = surroundings();
    offer(9);
    await settled();
    // Three waited when the first two were taken; the other six had come too late.
    expect(ids()).toEqual(['0', '1']);
    asked[0]?.answer();
    await settled();
    expect(ids()).toEqual(['0', '1', '2']);
    offer(9);
    for (let at = 1; at < 6; at++) {
      asked[at]?.answer();
      await settled();
    }
    expect(ids()).toEqual(['0', '1', '2', '9', '10', '11']);
  });

  it('keeps the pace of a release, and that of the gateway', async () => {
    const slow = surroundings({ queue: 100, atOnce: 100, perSecond: 20 });
    slow.offer(100, { mirrorPerSecond: 10 }, 10);
    slow.offer(100, { id: 'other', mirrorPerSecond: 0 }, 10);
    await settled();
    const [first, second] = [slow.ids().slice(0, 10), slow.ids().slice(10)];
    expect(first).toEqual(Array.from({ length: 10 }, (_, index) => String(index * 10)));
    expect(second).toEqual(Array.from({ length: 20 }, (_, index) => String(100 + index * 5)));
  });

  it('takes the share of a release', async () => {
    const { state, offer, ids } = surroundings();
    offer(1, { mirrorShare: 0 });
    state.picked = 0.3;
    offer(1, { mirrorShare: 0.3 });
    offer(1, { mirrorShare: 0.31 });
    offer(1, { mirrorShare: Number.NaN });
    await settled();
    expect(ids()).toEqual(['2']);
  });

  it('leaves the candidate alone while the gateway is busy, no host has it, or the release is over', async () => {
    const { state, offer, ids } = surroundings();
    state.isBusy = true;
    offer(1);
    state.isBusy = false;
    state.canAsk = false;
    offer(1);
    state.canAsk = true;
    offer(1);
    // It has changed by the time that the request's turn comes.
    state.isLive = false;
    await settled();
    state.isLive = true;
    offer(1);
    state.isBusy = true;
    await settled();
    expect(ids()).toEqual([]);
    state.isBusy = false;
    offer(1);
    await settled();
    expect(ids()).toEqual(['4']);
  });

  it('tells of a failure once, and tries nothing twice', async () => {
    const { asked, told, offer, ids } = surroundings();
    offer(1);
    await settled();
    asked[0]?.answer(new ThalamusError('INFERENCE_FAILED', 'No.'));
    await settled();
    expect(told).toMatchObject([{ agree: false, candidateError: 'INFERENCE_FAILED', candidateLabel: '' }]);
    expect(ids()).toEqual(['0']);
  });

  it('does not blame the candidate for a host that has too much to do', async () => {
    const { asked, told, offer } = surroundings();
    offer(1);
    await settled();
    asked[0]?.answer(new ThalamusError('EXPERT_OVERLOADED', 'Full.'));
    await settled();
    expect(told).toEqual([]);
  });

  it('ends what runs and what waits when the gateway ends, and tells nothing of it', async () => {
    const { mirror, asked, told, offer, ids } = surroundings();
    await mirror.start();
    offer(3);
    await settled();
    await mirror.drain();
    await mirror.close();
    offer(1);
    await settled();
    expect(asked.map(({ signal }) => signal.aborted)).toEqual([true, true]);
    expect([ids(), told]).toEqual([['0', '1'], []]);
  });
});
