import { create } from '@bufbuild/protobuf';
import { jobV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClaimedJob } from './claimed-job.js';
import type { Jobs } from './jobs.port.js';

const LEASE_MS = 9_000;

/** A job table that answers heartbeats as it is told. */
class FakeJobs implements Jobs {
  readonly beats: Parameters<Jobs['heartbeat']>[0][] = [];
  answer: () => { cancelRequested: boolean } = () => ({ cancelRequested: false });

  heartbeat(request: Parameters<Jobs['heartbeat']>[0]) {
    this.beats.push(request);
    return new Promise<jobV1.HeartbeatResponse>((resolve) => {
      resolve(create(jobV1.HeartbeatResponseSchema, this.answer()));
    });
  }

  claim(): never {
    throw new Error('not claimed here');
  }

  finish(): never {
    throw new Error('not finished here');
  }
}

let jobs: FakeJobs;
let claim: ClaimedJob;

beforeEach(() => {
  vi.useFakeTimers();
  jobs = new FakeJobs();
  claim = new ClaimedJob(jobs, create(jobV1.JobSchema, { id: 'j' }), 4n, LEASE_MS, () => Date.now());
  claim.begin();
});

afterEach(async () => {
  await claim.end();
  vi.useRealTimers();
});

const gone = () => new ThalamusError('UPSTREAM_UNAVAILABLE', 'gone');
const unreachable = () => {
  throw gone();
};

describe('a claim', () => {
  it('is renewed three times a lease, with its token', async () => {
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(jobs.beats.length).toBeGreaterThanOrEqual(3);
    expect(jobs.beats.length).toBeLessThanOrEqual(4);
    expect(jobs.beats[0]).toMatchObject({ id: 'j', token: 4n, leaseMs: LEASE_MS });
    expect(claim.stopReason).toBeUndefined();
  });

  it('knows how long the work may still take', () => {
    expect(claim.remainingWorkMs).toBe(0);
    claim.report({ stage: 'training', done: 3, total: 10, etaMs: 70.4 });
    expect(claim.remainingWorkMs).toBe(70.4);
  });

  it('tells progress once, within a second or so', async () => {
    claim.report({ stage: 'embedding', done: 3, total: 10, etaMs: 70.4 });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(jobs.beats).toHaveLength(1);
    expect(jobs.beats[0]?.progress).toEqual({ stage: 'embedding', done: 3n, total: 10n, etaMs: 70n });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(jobs.beats).toHaveLength(1);
  });

  it('ends the work when somebody cancels the job', async () => {
    jobs.answer = () => ({ cancelRequested: true });
    await vi.advanceTimersByTimeAsync(LEASE_MS / 3 + 1_000);
    expect(claim.stopReason).toBe('cancelled');
  });

  it('survives an absence of the updater that is shorter than the lease', async () => {
    jobs.answer = unreachable;
    await vi.advanceTimersByTimeAsync(LEASE_MS - 2_000);
    expect(claim.stopReason).toBeUndefined();
    jobs.answer = () => ({ cancelRequested: false });
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(claim.stopReason).toBeUndefined();
  });

  it('is lost once the lease may have lapsed', async () => {
    jobs.answer = unreachable;
    await vi.advanceTimersByTimeAsync(LEASE_MS + 1_000);
    expect(claim.stopReason).toBe('lost');
  });

  it('is lost at once when another holds the job', async () => {
    jobs.answer = () => {
      throw new ThalamusError('JOB_CONFLICT', 'stale');
    };
    await vi.advanceTimersByTimeAsync(LEASE_MS / 3 + 1_000);
    expect(claim.stopReason).toBe('lost');
    await expect(claim.checkpoint({ name: 'bundle', digest: 'x' })).rejects.toMatchObject({
      code: 'JOB_CONFLICT',
    });
  });

  it('stores a checkpoint under its token, and fails when it may not', async () => {
    await claim.checkpoint({ name: 'bundle', digest: 'sha256:x' });
    expect(jobs.beats.at(-1)).toMatchObject({ token: 4n, checkpoint: { name: 'bundle' } });
    jobs.answer = unreachable;
    await expect(claim.checkpoint({ name: 'bundle', digest: 'sha256:x' })).rejects.toMatchObject({
      code: 'UPSTREAM_UNAVAILABLE',
    });
  });

  it('takes a step again while its fault may pass and the claim holds, and no other', async () => {
    let tries = 0;
    const step = () => {
      tries += 1;
      return tries < 3 ? Promise.reject(gone()) : Promise.resolve(7);
    };
    expect(await claim.persist(step)).toBe(7);
    expect(tries).toBe(3);
    const wrong = () => Promise.reject(new ThalamusError('DATASET_INVALID', 'line 3'));
    await expect(claim.persist(wrong)).rejects.toMatchObject({ code: 'DATASET_INVALID' });
    jobs.answer = unreachable;
    const lost = expect(claim.persist(() => claim.confirm())).rejects.toMatchObject({ code: 'JOB_CONFLICT' });
    await vi.advanceTimersByTimeAsync(LEASE_MS + 1_000);
    await lost;
  });

  it('gives a step up that fails for as long as a lease, though the claim holds', async () => {
    let tries = 0;
    const full = async () => {
      tries += 1;
      // Heartbeats go on meanwhile.
      await vi.advanceTimersByTimeAsync(LEASE_MS / 2);
      throw new ThalamusError('ARTIFACT_STORE_FULL', 'no space');
    };
    await expect(claim.persist(full)).rejects.toMatchObject({ code: 'ARTIFACT_STORE_FULL' });
    expect(tries).toBe(2);
    expect(claim.stopReason).toBeUndefined();
  });

  it('keeps the first reason to stop', () => {
    claim.drain();
    claim.drain();
    expect(claim.stopReason).toBe('draining');
  });
});
