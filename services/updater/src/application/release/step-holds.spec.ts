import { timestampMs } from '@bufbuild/protobuf/wkt';
import { releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { beforeEach, describe, expect, it } from 'vitest';
import { releaseRecord } from '../../../test/release-record.js';
import { LEASE_MS, moved, type ReleaseRecord } from '../../domain/release/release-states.js';
import { StepHolds } from './step-holds.js';

const { ReleaseState } = releaseV1;

describe('how long a step is held', () => {
  let release: ReleaseRecord;
  let unixMs: number;
  let monotonicMs: number;
  let isAway: boolean;
  const writes: ReleaseRecord[] = [];
  const releases = {
    renew: (_id: string, _actor: unknown, decide: (now: ReleaseRecord) => ReleaseRecord | undefined) => {
      if (isAway) return Promise.reject(new ThalamusError('EVENT_LOG_BUSY', 'away'));
      const next = decide(release);
      if (next) writes.push((release = next));
      return Promise.resolve();
    },
  };
  const clock = { now: () => unixMs, monotonic: () => monotonicMs };
  const pass = (ms: number) => {
    unixMs += ms;
    monotonicMs += ms;
  };

  beforeEach(() => {
    unixMs = 1_000_000;
    monotonicMs = 50;
    isAway = false;
    writes.length = 0;
    release = moved(releaseRecord(), ReleaseState.SHADOW, { by: 'gate', reason: 'on', atMs: unixMs });
  });

  it('is renewed a third of a lease apart, and counted by a clock that does not jump', async () => {
    const holds = new StepHolds(releases, clock);
    expect(await holds.hold(release)).toBe(0);
    pass(4_000);
    expect(await holds.hold(release)).toBe(4_000);
    expect(writes).toHaveLength(1);
    // The machine's clock is set an hour ahead: the step is no older for it, the lease is by the clock that others read.
    unixMs += 3_600_000;
    pass(1_000);
    expect(await holds.hold(release)).toBe(5_000);
    expect(writes).toHaveLength(2);
    expect(release.leaseExpiresAt && timestampMs(release.leaseExpiresAt)).toBe(unixMs + LEASE_MS);
    unixMs -= 7_200_000;
    pass(1_000);
    expect(await holds.hold(release)).toBe(6_000);
  });

  it('goes on in the next leader from what was written', async () => {
    const first = new StepHolds(releases, clock);
    await first.hold(release);
    pass(5_000);
    await first.hold(release);
    const next = new StepHolds(releases, { now: clock.now, monotonic: () => 7 });
    expect(await next.hold(release)).toBe(5_000);
  });

  it('does not count time that nobody could renew the lease in, and says so by its error', async () => {
    const holds = new StepHolds(releases, clock);
    await holds.hold(release);
    isAway = true;
    pass(6_000);
    await expect(holds.hold(release)).rejects.toThrow('away');
    pass(LEASE_MS);
    isAway = false;
    expect(await holds.hold(release)).toBe(0);
    pass(1_000);
    expect(await holds.hold(release)).toBe(1_000);
  });

  it('begins anew with each step', async () => {
    const holds = new StepHolds(releases, clock);
    await holds.hold(release);
    pass(3_000);
    release = moved(release, ReleaseState.CANARY, { by: 'gate', reason: 'on', atMs: unixMs }, { step: 1 });
    expect(await holds.hold(release)).toBe(0);
  });
});
