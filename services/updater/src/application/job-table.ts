import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { jobV1, METRICS, ATTRIBUTES, TOPICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { decodeEvent, encodeEvent, type EventBus, type Follower } from '@thalamus/events';
import { counter } from '@thalamus/telemetry';
import { randomUUID } from 'node:crypto';
import type { RegistryWriter } from './registry-writer.js';

const { JobState } = jobV1;
const DEFAULT_LEASE_MS = 15_000;
const MAX_LEASE_MS = 600_000;
const DEFAULT_ATTEMPTS = 3;

/** A job with what only the table knows. */
interface Entry {
  job: jobV1.Job;
  token: bigint;
  maxAttempts: number;
  idempotencyKey: string;
}

const RESERVED = 'thalamus';

/**
 * Durable jobs with leases: folded from the compacted job topic, written by the elected writer alone. A claim lapses when
 * heartbeats stop; each claim has a higher token, and only the holder of the current one may finish.
 */
export class JobTable {
  readonly name = 'job table';
  private readonly entries = new Map<string, Entry>();
  private readonly watchers = new Set<() => void>();
  private follower: Follower | undefined;
  private sweeping: NodeJS.Timeout | undefined;
  private queue: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly bus: EventBus,
    private readonly writer: RegistryWriter,
  ) {}

  async start(): Promise<void> {
    this.follower = await this.bus.follow({
      topic: TOPICS.jobChanged.name,
      onRecord: (record) => {
        const job = decodeEvent(TOPICS.jobChanged, record)?.job;
        if (job)
          this.entries.set(record.key, {
            job,
            token: BigInt(record.headers[`${RESERVED}-job-token`] ?? '0'),
            maxAttempts: Number(record.headers[`${RESERVED}-job-max-attempts`] ?? DEFAULT_ATTEMPTS),
            idempotencyKey: record.headers[`${RESERVED}-job-idempotency-key`] ?? '',
          });
        else this.entries.delete(record.key);
        this.wake();
      },
    });
    await this.follower.caughtUp;
    this.sweeping = setInterval(() => void this.lapse().catch(() => undefined), 1_000);
  }

  async close(): Promise<void> {
    clearInterval(this.sweeping);
    await this.follower?.stop();
  }

  get(id: string): jobV1.Job {
    return this.entry(id).job;
  }

  /** Newest first. */
  list(kind: string, state: jobV1.JobState): jobV1.Job[] {
    const created = (job: jobV1.Job) => (job.createdAt ? timestampMs(job.createdAt) : 0);
    return [...this.entries.values()]
      .map(({ job }) => job)
      .filter(
        (job) =>
          (kind === '' || job.kind === kind) && (state === JobState.UNSPECIFIED || job.state === state),
      )
      .sort((a, b) => created(b) - created(a));
  }

  submit(request: jobV1.SubmitRequest): Promise<jobV1.Job> {
    return this.serial(async () => {
      const known = [...this.entries.values()].find(
        ({ idempotencyKey }) => idempotencyKey !== '' && idempotencyKey === request.idempotencyKey,
      );
      if (known) return known.job;
      const now = timestampFromMs(Date.now());
      const job = create(jobV1.JobSchema, {
        id: randomUUID(),
        kind: request.kind,
        inputs: request.inputs,
        state: JobState.QUEUED,
        tenant: request.tenant,
        createdAt: now,
        updatedAt: now,
        ...(request.parameters ? { parameters: request.parameters } : {}),
      });
      return this.save({
        job,
        token: 0n,
        maxAttempts: request.maxAttempts || DEFAULT_ATTEMPTS,
        idempotencyKey: request.idempotencyKey,
      });
    });
  }

  cancel(id: string): Promise<jobV1.Job> {
    return this.serial(async () => {
      const entry = this.entry(id);
      if (isFinal(entry.job)) return entry.job;
      const state = entry.job.state === JobState.QUEUED ? JobState.CANCELLED : entry.job.state;
      return this.save({ ...entry, job: { ...entry.job, state, cancelRequested: true } });
    });
  }

  /** The oldest queued job of the kinds, taken for the worker; undefined when there is none. */
  claim(
    worker: string,
    kinds: readonly string[],
    leaseMs: number,
  ): Promise<{ job: jobV1.Job; token: bigint } | undefined> {
    return this.serial(async () => {
      const entry = this.list('', JobState.QUEUED)
        .reverse()
        .map((job) => this.entry(job.id))
        .find(({ job }) => kinds.includes(job.kind));
      if (!entry) return undefined;
      const token = entry.token + 1n;
      const job = await this.save({
        ...entry,
        token,
        job: {
          ...entry.job,
          state: JobState.RUNNING,
          worker,
          attempt: entry.job.attempt + 1,
          leaseExpiresAt: lease(leaseMs),
        },
      });
      return { job, token };
    });
  }

  heartbeat(request: jobV1.HeartbeatRequest): Promise<jobV1.Job> {
    return this.serial(async () => {
      const entry = this.held(request.id, request.token);
      const job = { ...entry.job, leaseExpiresAt: lease(request.leaseMs) };
      return this.save({
        ...entry,
        job: {
          ...job,
          ...(request.progress ? { progress: request.progress } : {}),
          ...(request.checkpoint ? { checkpoint: request.checkpoint } : {}),
        },
      });
    });
  }

  finish(request: jobV1.FinishRequest): Promise<jobV1.Job> {
    return this.serial(async () => {
      if (![JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED].includes(request.state)) {
        throw new ThalamusError('REQUEST_INVALID', 'state must be SUCCEEDED, FAILED or CANCELLED.', {
          violations: [{ field: 'state', description: 'a final state' }],
        });
      }
      const entry = this.held(request.id, request.token);
      counter(METRICS.jobs, 'Jobs that ended.').add(1, {
        [ATTRIBUTES.jobKind]: entry.job.kind,
        [ATTRIBUTES.outcome]: JobState[request.state],
      });
      const { state, outputs, errorCode, errorMessage } = request;
      const job = {
        ...entry.job,
        state,
        outputs,
        errorCode,
        errorMessage,
        worker: '',
        ...(request.result ? { result: request.result } : {}),
      };
      return this.save({ ...entry, job });
    });
  }

  /** Resolves at the next change of any job, or when the signal fires. */
  async changed(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        this.watchers.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.watchers.add(done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });
  }

  /** Queues jobs again whose worker has fallen silent; those that were tried too often fail. */
  private async lapse(): Promise<void> {
    if (!this.writer.isLeader) return;
    await this.serial(async () => {
      for (const entry of this.entries.values()) {
        const { job } = entry;
        if (
          job.state !== JobState.RUNNING ||
          !job.leaseExpiresAt ||
          timestampMs(job.leaseExpiresAt) > Date.now()
        )
          continue;
        if (job.cancelRequested)
          await this.save({ ...entry, job: { ...job, state: JobState.CANCELLED, worker: '' } });
        else if (job.attempt >= entry.maxAttempts) {
          const errorMessage = `The job was claimed ${job.attempt} times and no worker finished it; the log of ${job.worker} says why.`;
          await this.save({
            ...entry,
            job: { ...job, state: JobState.FAILED, errorCode: 'INTERNAL', errorMessage, worker: '' },
          });
        } else await this.save({ ...entry, job: { ...job, state: JobState.QUEUED, worker: '' } });
      }
    });
  }

  private entry(id: string): Entry {
    const entry = this.entries.get(id);
    if (!entry) throw new ThalamusError('JOB_NOT_FOUND', `No job ${id} exists.`);
    return entry;
  }

  private held(id: string, token: bigint): Entry {
    const entry = this.entry(id);
    if (entry.job.state !== JobState.RUNNING || entry.token !== token) {
      throw new ThalamusError(
        'JOB_CONFLICT',
        `The claim ${token} of job ${id} is no longer valid (state ${JobState[entry.job.state]}, token ${entry.token}); drop the result.`,
      );
    }
    return entry;
  }

  private async save(entry: Entry): Promise<jobV1.Job> {
    const job: MessageInitShape<typeof jobV1.JobSchema> = {
      ...entry.job,
      updatedAt: timestampFromMs(Date.now()),
    };
    const headers = {
      [`${RESERVED}-job-token`]: String(entry.token),
      [`${RESERVED}-job-max-attempts`]: String(entry.maxAttempts),
      [`${RESERVED}-job-idempotency-key`]: entry.idempotencyKey,
    };
    await this.writer.append([
      encodeEvent(TOPICS.jobChanged, { job }, { source: '/updater', key: entry.job.id, headers }),
    ]);
    await this.follower?.catchUp();
    return this.entry(entry.job.id).job;
  }

  private serial<T>(work: () => Promise<T>): Promise<T> {
    const result = this.queue.then(work);
    this.queue = result.catch(() => undefined);
    return result;
  }

  private wake(): void {
    for (const resolve of [...this.watchers]) resolve();
  }
}

/** Whether a job has come to its end. */
export function isFinal(job: jobV1.Job): boolean {
  return (
    job.state === JobState.SUCCEEDED || job.state === JobState.FAILED || job.state === JobState.CANCELLED
  );
}

function lease(wantedMs: number) {
  return timestampFromMs(Date.now() + Math.min(wantedMs || DEFAULT_LEASE_MS, MAX_LEASE_MS));
}
