import { create } from '@bufbuild/protobuf';
import { jobV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it, vi } from 'vitest';
import type { Jobs } from './jobs.port.js';
import { WorkLoop, type JobRunner } from './work-loop.js';

const { JobState } = jobV1;

/** A table with a list of jobs; remembers how each ended. */
class FakeJobs implements Jobs {
  readonly ends: Parameters<Jobs['finish']>[0][] = [];
  readonly waits: number[] = [];
  claimFault: Error | undefined;
  finishFaults: Error[] = [];

  constructor(private readonly waiting: jobV1.Job[] = []) {}

  async claim(request: Parameters<Jobs['claim']>[0], signal: AbortSignal) {
    this.waits.push(request.waitMs ?? 0);
    if (this.claimFault) throw this.claimFault;
    const job = this.waiting.shift();
    if (job) return create(jobV1.ClaimResponseSchema, { job, token: 7n });
    if (request.waitMs === 0) return create(jobV1.ClaimResponseSchema);
    return new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        reject(new ThalamusError('CANCELLED', 'gone'));
      });
    });
  }

  heartbeat() {
    return Promise.resolve(create(jobV1.HeartbeatResponseSchema));
  }

  finish(request: Parameters<Jobs['finish']>[0]) {
    const fault = this.finishFaults.shift();
    if (fault) return Promise.reject(fault);
    this.ends.push(request);
    return Promise.resolve(create(jobV1.FinishResponseSchema));
  }
}

const job = (id: string, kind = 'train') => create(jobV1.JobSchema, { id, kind, attempt: 1 });
const start = async (jobs: FakeJobs, train: JobRunner) => {
  const loop = new WorkLoop(jobs, { train }, { worker: 'w', leaseMs: 3_000, waitMs: 20_000 });
  await loop.start();
  return loop;
};
const ok: JobRunner = () => Promise.resolve({ outputs: [{ name: 'bundle', digest: 'd' }], result: { n: 1 } });

describe('the work loop', () => {
  it('runs one job after the other and tells how each ended', async () => {
    const jobs = new FakeJobs([job('a'), job('b'), job('c', 'dance')]);
    let running = 0;
    const loop = await start(jobs, async (claim) => {
      running += 1;
      expect(running).toBe(1);
      await Promise.resolve();
      running -= 1;
      if (claim.id === 'b') throw new ThalamusError('DATASET_INVALID', 'line 3');
      return ok(claim);
    });
    await vi.waitUntil(() => jobs.ends.length === 3);
    expect(jobs.ends[0]).toMatchObject({ id: 'a', token: 7n, state: JobState.SUCCEEDED, result: { n: 1 } });
    expect(jobs.ends[1]).toMatchObject({
      id: 'b',
      state: JobState.FAILED,
      errorCode: 'DATASET_INVALID',
      errorMessage: 'line 3',
    });
    expect(jobs.ends[2]).toMatchObject({ id: 'c', state: JobState.FAILED, errorCode: 'METHOD_UNSUPPORTED' });
    await loop.drain(10_000);
  });

  it('hides the text of faults that are not ours', async () => {
    const jobs = new FakeJobs([job('a')]);
    const loop = await start(jobs, () => Promise.reject(new Error('secret prompt')));
    await vi.waitUntil(() => jobs.ends.length === 1);
    expect(jobs.ends[0]).toMatchObject({ errorCode: 'INTERNAL' });
    expect(
      JSON.stringify(jobs.ends[0], (_key, value: unknown) => (typeof value === 'bigint' ? '' : value)),
    ).not.toContain('secret');
    await loop.drain(10_000);
  });

  it('gives the job back when the worker drains, and claims no more', async () => {
    const jobs = new FakeJobs([job('a'), job('b')]);
    const loop = await start(
      jobs,
      (claim) =>
        new Promise((_resolve, reject) => {
          claim.signal.addEventListener('abort', () => {
            reject(new ThalamusError('CANCELLED', 'stopped'));
          });
        }),
    );
    await vi.waitUntil(() => jobs.waits.length > 0);
    await loop.drain(10_000);
    expect(jobs.ends).toHaveLength(1);
    expect(jobs.ends[0]).toMatchObject({ id: 'a', state: JobState.QUEUED });
  });

  it('does not keep the process from ending when a job does not end', async () => {
    const jobs = new FakeJobs([job('a')]);
    let begun = false;
    const loop = await start(jobs, () => {
      begun = true;
      return new Promise(() => undefined);
    });
    await vi.waitUntil(() => begun);
    await loop.drain(10);
    expect(jobs.ends).toEqual([]);
  });

  it('tells the end again when the updater was away for a moment', async () => {
    const jobs = new FakeJobs([job('a')]);
    jobs.finishFaults = [new ThalamusError('UPSTREAM_UNAVAILABLE', 'gone')];
    const loop = await start(jobs, ok);
    await vi.waitUntil(() => jobs.ends.length === 1);
    expect(jobs.ends[0]).toMatchObject({ id: 'a', state: JobState.SUCCEEDED });
    await loop.drain(10_000);
  });

  it('goes on after a job whose end nobody wants any more', async () => {
    const jobs = new FakeJobs([job('a'), job('b')]);
    jobs.finishFaults = [new ThalamusError('JOB_CONFLICT', 'stale')];
    const loop = await start(jobs, ok);
    await vi.waitUntil(() => jobs.ends.length === 1);
    expect(jobs.ends[0]).toMatchObject({ id: 'b' });
    await loop.drain(10_000);
  });

  it('is ready once the table has answered, and says why while it does not', async () => {
    const jobs = new FakeJobs();
    jobs.claimFault = new ThalamusError('UPSTREAM_UNAVAILABLE', 'the updater does not answer');
    const loop = await start(jobs, ok);
    await vi.waitUntil(() => jobs.waits.length > 0);
    expect(loop.readiness()).toEqual({ ready: false, reason: 'the updater does not answer' });
    jobs.claimFault = undefined;
    await vi.waitUntil(() => loop.readiness().ready);
    // The call that proves it does not wait for a job.
    expect(jobs.waits[0]).toBe(0);
    await loop.drain(10_000);
  });
});
