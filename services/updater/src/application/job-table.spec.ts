import { create } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { jobV1, TOPICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { EmbeddedEventBus, topicSpec, type EventBus } from '@thalamus/events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_WAITING_DECISIONS } from './decision-queue.js';
import { JobTable, type JobTableOptions, type JobWriter } from './job-table.js';

const { JobState } = jobV1;
const KINDS = ['train'];

let folder: string;
let bus: EventBus;
let nowMs: number;
const opened: (() => Promise<void>)[] = [];

/** A writer that leads until it is told otherwise. */
function writerOn(target: EventBus): JobWriter & { isLeader: boolean } {
  return {
    isLeader: true,
    requireLeader() {
      if (!this.isLeader) throw new ThalamusError('NOT_LEADER', 'another leads');
    },
    async append(records) {
      this.requireLeader();
      await target.publish(records);
    },
  };
}

async function openBus(): Promise<EventBus> {
  const made = new EmbeddedEventBus({ file: join(folder, 'events.sqlite'), pollMs: 5 });
  await made.start();
  await made.ensureTopics([topicSpec(TOPICS.jobChanged)]);
  opened.push(() => made.close());
  return made;
}

async function openTable(options: JobTableOptions = {}, on = bus, writer: JobWriter = writerOn(on)) {
  const table = new JobTable(on, writer, { now: () => nowMs, ...options });
  await table.start();
  opened.push(() => table.close());
  return table;
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'thalamus-jobs-'));
  nowMs = 1_000_000;
  bus = await openBus();
});

afterEach(async () => {
  for (const close of opened.reverse().splice(0)) await close();
  rmSync(folder, { recursive: true, force: true });
});

const submit = (fields: Partial<Omit<jobV1.SubmitRequest, '$typeName' | '$unknown'>> = {}) =>
  create(jobV1.SubmitRequestSchema, { kind: 'train', tenant: 'default', ...fields });
const heartbeat = (id: string, token: bigint, more: object = {}) =>
  create(jobV1.HeartbeatRequestSchema, { id, token, leaseMs: 2_000, ...more });
const finish = (id: string, token: bigint, state: jobV1.JobState, more: object = {}) =>
  create(jobV1.FinishRequestSchema, { id, token, state, ...more });

async function claimOne(table: JobTable, worker = 'w1') {
  const taken = await table.claim(worker, KINDS, 2_000);
  if (!taken) throw new Error('nothing to claim');
  return taken;
}

describe('claiming', () => {
  it('gives the oldest waiting job of the kinds, once', async () => {
    const table = await openTable();
    const first = await table.submit(submit());
    nowMs += 1;
    const second = await table.submit(submit());
    expect(await table.claim('w1', ['evaluate'], 2_000)).toBeUndefined();
    const taken = await claimOne(table);
    expect(taken).toMatchObject({ token: 1n, job: { id: first.id, worker: 'w1', attempt: 1 } });
    expect(taken.job.state).toBe(JobState.RUNNING);
    expect(timestampMs(taken.job.leaseExpiresAt!)).toBe(nowMs + 2_000);
    expect((await claimOne(table, 'w2')).job.id).toBe(second.id);
    expect(await table.claim('w3', KINDS, 2_000)).toBeUndefined();
  });

  it('gives one job to one of many who ask at the same time', async () => {
    const table = await openTable();
    await table.submit(submit());
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) => table.claim(`w${index}`, KINDS, 2_000)),
    );
    expect(answers.filter((answer) => answer !== undefined)).toHaveLength(1);
  });

  it('is refused by a replica that does not lead, also when nothing waits', async () => {
    const writer = writerOn(bus);
    const table = await openTable({}, bus, writer);
    writer.isLeader = false;
    await expect(table.claim('w1', KINDS, 2_000)).rejects.toMatchObject({ code: 'NOT_LEADER' });
    await expect(table.submit(submit())).rejects.toMatchObject({ code: 'NOT_LEADER' });
  });
});

describe('fencing', () => {
  it('refuses heartbeat and finish of a claim that lapsed and was taken over', async () => {
    const table = await openTable();
    const { id } = await table.submit(submit());
    const old = await claimOne(table, 'slow');
    nowMs += 2_001;
    await table.sweep();
    expect(table.get(id).state).toBe(JobState.QUEUED);
    await expect(table.heartbeat(heartbeat(id, old.token))).rejects.toMatchObject({ code: 'JOB_CONFLICT' });
    const next = await claimOne(table, 'quick');
    expect(next.token).toBe(old.token + 1n);
    await expect(table.heartbeat(heartbeat(id, old.token))).rejects.toMatchObject({ code: 'JOB_CONFLICT' });
    await expect(table.finish(finish(id, old.token, JobState.SUCCEEDED))).rejects.toMatchObject({
      code: 'JOB_CONFLICT',
    });
    expect(table.get(id)).toMatchObject({ state: JobState.RUNNING, worker: 'quick' });
    const outputs = [{ name: 'bundle', digest: `sha256:${'a'.repeat(64)}` }];
    await table.finish(finish(id, next.token, JobState.SUCCEEDED, { outputs, result: { accuracy: 0.5 } }));
    expect(table.get(id)).toMatchObject({ state: JobState.SUCCEEDED, result: { accuracy: 0.5 } });
    expect(table.get(id).outputs[0]?.digest).toBe(outputs[0]?.digest);
  });

  it('answers the same end twice as the first time, and another end with a conflict', async () => {
    const table = await openTable();
    const { id } = await table.submit(submit());
    const { token } = await claimOne(table);
    const first = await table.finish(finish(id, token, JobState.SUCCEEDED));
    expect(await table.finish(finish(id, token, JobState.SUCCEEDED))).toBe(first);
    await expect(table.finish(finish(id, token, JobState.FAILED))).rejects.toMatchObject({
      code: 'JOB_CONFLICT',
    });
  });

  it('keeps a lease as long as heartbeats come, with progress and checkpoint', async () => {
    const table = await openTable();
    const { id } = await table.submit(submit());
    const { token } = await claimOne(table);
    const checkpoint = { name: 'features', digest: `sha256:${'b'.repeat(64)}` };
    for (let beat = 1; beat <= 5; beat++) {
      nowMs += 1_500;
      await table.heartbeat(
        heartbeat(id, token, { progress: { stage: 'embedding', done: BigInt(beat), total: 5n }, checkpoint }),
      );
      await table.sweep();
      expect(table.get(id).state).toBe(JobState.RUNNING);
    }
    expect(table.get(id)).toMatchObject({ progress: { stage: 'embedding', done: 5n }, checkpoint });
    nowMs += 2_001;
    await table.sweep();
    expect((await claimOne(table, 'next')).job.checkpoint).toMatchObject(checkpoint);
  });
});

describe('the end of jobs that do not go well', () => {
  it('fails for good after as many lapsed claims as were allowed', async () => {
    const table = await openTable();
    const { id } = await table.submit(submit({ maxAttempts: 2 }));
    for (let attempt = 1; attempt <= 2; attempt++) {
      expect((await claimOne(table)).job.attempt).toBe(attempt);
      nowMs += 2_001;
      await table.sweep();
    }
    expect(table.get(id)).toMatchObject({ state: JobState.FAILED, errorCode: 'INTERNAL', attempt: 2 });
    expect(await table.claim('w9', KINDS, 2_000)).toBeUndefined();
  });

  it('tries a failure that may pass again after a pause, then fails with its code', async () => {
    const table = await openTable();
    const { id } = await table.submit(submit({ maxAttempts: 2 }));
    const failure = { errorCode: 'EXPERT_CRASHED', errorMessage: 'gone' };
    await table.finish(finish(id, (await claimOne(table)).token, JobState.FAILED, failure));
    expect(table.get(id)).toMatchObject({ state: JobState.QUEUED, errorCode: 'EXPERT_CRASHED' });
    expect(await table.claim('w1', KINDS, 2_000)).toBeUndefined();
    nowMs += 1_000;
    const second = await claimOne(table);
    expect(second.job.errorCode).toBe('');
    await table.finish(finish(id, second.token, JobState.FAILED, failure));
    expect(table.get(id)).toMatchObject({ state: JobState.FAILED, errorCode: 'EXPERT_CRASHED' });
  });

  it('fails at once for a fault that stays', async () => {
    const table = await openTable();
    const { id } = await table.submit(submit());
    const { token } = await claimOne(table);
    await table.finish(
      finish(id, token, JobState.FAILED, { errorCode: 'DATASET_INVALID', errorMessage: 'x' }),
    );
    expect(table.get(id)).toMatchObject({ state: JobState.FAILED, errorCode: 'DATASET_INVALID', attempt: 1 });
  });

  it('cancels a waiting job at once, a running one when its worker says so or falls silent', async () => {
    const table = await openTable();
    const waiting = await table.submit(submit());
    expect((await table.cancel(waiting.id)).state).toBe(JobState.CANCELLED);
    const running = await table.submit(submit());
    const { token } = await claimOne(table);
    expect(await table.cancel(running.id)).toMatchObject({ state: JobState.RUNNING, cancelRequested: true });
    expect(await table.heartbeat(heartbeat(running.id, token))).toMatchObject({ cancelRequested: true });
    await table.finish(finish(running.id, token, JobState.CANCELLED));
    expect(table.get(running.id).state).toBe(JobState.CANCELLED);
    expect((await table.cancel(running.id)).state).toBe(JobState.CANCELLED);
    const silent = await table.submit(submit());
    await claimOne(table);
    await table.cancel(silent.id);
    nowMs += 2_001;
    await table.sweep();
    expect(table.get(silent.id).state).toBe(JobState.CANCELLED);
  });

  it('takes a claim back without counting the attempt', async () => {
    const table = await openTable();
    const { id } = await table.submit(submit({ maxAttempts: 1 }));
    for (let round = 1; round <= 3; round++) {
      const { token } = await claimOne(table);
      expect(token).toBe(BigInt(round));
      await table.finish(finish(id, token, JobState.QUEUED));
      expect(table.get(id)).toMatchObject({ state: JobState.QUEUED, attempt: 0, worker: '' });
    }
  });
});

describe('what is remembered', () => {
  it('answers the same idempotency key with the same job', async () => {
    const table = await openTable();
    const first = await table.submit(submit({ idempotencyKey: 'k' }));
    expect((await table.submit(submit({ idempotencyKey: 'k' }))).id).toBe(first.id);
    expect((await table.submit(submit())).id).not.toBe((await table.submit(submit())).id);
  });

  it('is rebuilt from the bus by another process: states, tokens, keys, limits', async () => {
    const table = await openTable();
    const running = await table.submit(submit({ idempotencyKey: 'k', maxAttempts: 1 }));
    const { token } = await claimOne(table);
    const waiting = await table.submit(submit());
    const after = await openTable({}, await openBus());
    expect(
      after
        .list('', JobState.UNSPECIFIED)
        .map(({ id }) => id)
        .sort(),
    ).toEqual([running.id, waiting.id].sort());
    expect((await after.submit(submit({ idempotencyKey: 'k' }))).id).toBe(running.id);
    await after.heartbeat(heartbeat(running.id, token));
    nowMs += 2_001;
    await after.sweep();
    expect(after.get(running.id).state).toBe(JobState.FAILED);
    // The former leader, which has not looked since, must decide on what stands now.
    await expect(table.finish(finish(running.id, token, JobState.SUCCEEDED))).rejects.toMatchObject({
      code: 'JOB_CONFLICT',
    });
  });

  it('bounds the calls that wait for a bus that takes nothing', async () => {
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const writer = writerOn(bus);
    const table = await openTable({}, bus, {
      isLeader: true,
      requireLeader: () => undefined,
      append: async (records) => {
        await gate;
        await writer.append(records);
      },
    });
    const first = table.submit(submit());
    const waiting = Array.from({ length: MAX_WAITING_DECISIONS - 1 }, () => table.giveBack('none', 1n));
    await expect(table.submit(submit())).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: 1_000 });
    open();
    await Promise.all([first, ...waiting]);
    expect((await table.submit(submit())).state).toBe(JobState.QUEUED);
  });

  it('is bounded: too many open jobs are refused, the oldest ended ones forgotten', async () => {
    const table = await openTable({ maxOpen: 2, maxEnded: 1 });
    const first = await table.submit(submit());
    const second = await table.submit(submit());
    await expect(table.submit(submit())).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    await table.cancel(first.id);
    nowMs += 1;
    await table.cancel(second.id);
    await table.sweep();
    expect(() => table.get(first.id)).toThrow(expect.objectContaining({ code: 'JOB_NOT_FOUND' }));
    expect(table.get(second.id).state).toBe(JobState.CANCELLED);
  });

  it('fails readiness with the offset of a record that cannot be read', async () => {
    const table = await openTable();
    expect(table.readiness().ready).toBe(true);
    const [at] = await bus.publish([
      { topic: TOPICS.jobChanged.name, key: 'x', value: new Uint8Array([255]), headers: {} },
    ]);
    await table.submit(submit());
    expect(table.readiness().reason).toContain(`record ${at!.offset} of ${TOPICS.jobChanged.name}`);
  });
});
