import { create } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { ATTRIBUTES, JOB_KINDS, jobV1, METRICS, TOPICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { BusRecord, EventBus, Follower } from '@thalamus/events';
import { counter, createLogger, gauge } from '@thalamus/telemetry';
import { randomUUID } from 'node:crypto';
import {
  cancelled,
  claimed,
  finished,
  givenBack,
  heldBy,
  FINAL_STATES,
  isFinal,
  lapsed,
  leaseUntil,
  type JobEntry,
} from '../domain/job-lifecycle.js';
import { decodeJob, DEFAULT_ATTEMPTS, encodeJob, forgetJob } from './job-records.js';

const { JobState } = jobV1;
const SWEEP_MS = 500;
/** Decisions that may wait for those before them; more are refused. */
export const MAX_WAITING_DECISIONS = 1_000;

/** Who may append to the job topic: the elected writer of the registry. */
export interface JobWriter {
  /** True while this process is the elected one. */
  readonly isLeader: boolean;
  /** @throws NOT_LEADER with the address of the leader. */
  requireLeader(): void;
  /** @throws NOT_LEADER, LEADERSHIP_LOST */
  append(records: readonly BusRecord[]): Promise<void>;
}

/** Bounds of the table, and its clock. */
export interface JobTableOptions {
  /** Unix time in milliseconds. */
  readonly now?: () => number;
  /** Jobs that may wait or run at once; more are refused. */
  readonly maxOpen?: number;
  /** Ended jobs that are remembered; the oldest beyond are forgotten. */
  readonly maxEnded?: number;
}

/**
 * Durable jobs with leases: folded from the compacted job topic, written by the elected writer alone. A claim lapses when
 * heartbeats stop; each claim has a higher token, and only the holder of the current one may finish. Every decision is
 * taken one after the other, on a view that has read everything.
 */
export class JobTable {
  readonly name = 'job table';
  private readonly entries = new Map<string, JobEntry>();
  private readonly watchers = new Set<() => void>();
  private readonly logger = createLogger('job-table');
  private readonly now: () => number;
  private readonly maxOpen: number;
  private readonly maxEnded: number;
  private follower: Follower | undefined;
  private failure: string | undefined;
  private sweeping: NodeJS.Timeout | undefined;
  private sweepNow: Promise<void> | undefined;
  private stopGauge: () => void = () => undefined;
  private queue: Promise<unknown> = Promise.resolve();
  private waiting = 0;
  private revision = 0;

  constructor(
    private readonly bus: EventBus,
    private readonly writer: JobWriter,
    options: JobTableOptions = {},
  ) {
    this.now = options.now ?? Date.now;
    this.maxOpen = options.maxOpen ?? 1_000;
    this.maxEnded = options.maxEnded ?? 1_000;
  }

  async start(): Promise<void> {
    this.follower = await this.bus.follow({
      topic: TOPICS.jobChanged.name,
      onRecord: (record) => {
        try {
          const entry = decodeJob(record);
          if (entry) this.entries.set(record.key, entry);
          else this.entries.delete(record.key);
        } catch (error) {
          this.failure = `record ${record.offset} of ${record.topic} cannot be read; upgrade this service or mend the topic`;
          this.logger.error({ offset: String(record.offset), error }, 'job record cannot be read');
        }
        this.wake();
      },
      onError: (error) => {
        // A bus that is away comes back, and the follower goes on by itself.
        if (!error.spec.retryable) this.failure = error.message;
      },
    });
    await this.follower.caughtUp;
    this.stopGauge = gauge(METRICS.jobsOpen, () => this.openByKind());
    // Zeros first: an increase is seen from the first ending on.
    for (const kind of Object.values(JOB_KINDS))
      for (const state of FINAL_STATES) counter(METRICS.jobs).add(0, endingOf(kind, state));
    this.sweeping = setInterval(() => {
      // While the bus is away one sweep waits, not one more every time.
      this.sweepNow ??= this.sweep()
        .catch((error: unknown) => {
          this.logger.warn({ error }, 'sweep of the job table failed');
        })
        .finally(() => {
          this.sweepNow = undefined;
        });
    }, SWEEP_MS);
  }

  readiness(): { ready: boolean; reason?: string } {
    return this.failure === undefined ? { ready: true } : { ready: false, reason: this.failure };
  }

  async close(): Promise<void> {
    clearInterval(this.sweeping);
    this.stopGauge();
    await this.follower?.stop();
    this.wake();
  }

  get(id: string): jobV1.Job {
    return this.entry(id).job;
  }

  /** The job of an id, or none. */
  find(id: string): jobV1.Job | undefined {
    return this.entries.get(id)?.job;
  }

  /** Newest first. */
  list(kind: string, state: jobV1.JobState): jobV1.Job[] {
    return [...this.entries.values()]
      .map(({ job }) => job)
      .filter(
        (job) =>
          (kind === '' || job.kind === kind) && (state === JobState.UNSPECIFIED || job.state === state),
      )
      .sort((a, b) => createdMs(b) - createdMs(a) || (a.id < b.id ? -1 : 1));
  }

  /** Stores a job; the one of the same idempotency key or id when there is one. @throws RATE_LIMITED when too many wait. */
  submit(request: jobV1.SubmitRequest, id: string = randomUUID()): Promise<jobV1.Job> {
    return this.decide(async () => {
      const { idempotencyKey } = request;
      const known =
        this.entries.get(id) ??
        [...this.entries.values()].find(
          (entry) => idempotencyKey !== '' && entry.idempotencyKey === idempotencyKey,
        );
      if (known) return known.job;
      const open = [...this.entries.values()].filter(({ job }) => !isFinal(job)).length;
      if (open >= this.maxOpen)
        throw new ThalamusError(
          'RATE_LIMITED',
          `${open} jobs wait or run already; wait until some have ended, or cancel some.`,
        );
      const createdAt = timestampFromMs(this.now());
      const job = create(jobV1.JobSchema, {
        id,
        kind: request.kind,
        inputs: request.inputs,
        state: JobState.QUEUED,
        tenant: request.tenant,
        createdAt,
        ...(request.parameters ? { parameters: request.parameters } : {}),
      });
      const maxAttempts = request.maxAttempts || DEFAULT_ATTEMPTS;
      return this.save({ job, token: 0n, maxAttempts, idempotencyKey, notBeforeMs: 0 });
    });
  }

  /** Ends a waiting job; a running one is told at its next heartbeat. One that has ended stays as it is. */
  cancel(id: string): Promise<jobV1.Job> {
    return this.decide(async () => {
      const entry = this.entry(id);
      return isFinal(entry.job) ? entry.job : this.save(cancelled(entry));
    });
  }

  /** The oldest job of the kinds that may run now, taken for the worker; undefined when there is none. */
  claim(
    worker: string,
    kinds: readonly string[],
    leaseMs: number,
  ): Promise<{ job: jobV1.Job; token: bigint } | undefined> {
    return this.decide(async () => {
      const nowMs = this.now();
      const entry = this.list('', JobState.QUEUED)
        .reverse()
        .map((job) => this.entry(job.id))
        .find(({ job, notBeforeMs }) => kinds.includes(job.kind) && notBeforeMs <= nowMs);
      if (!entry) return undefined;
      const taken = claimed(entry, worker, leaseMs, nowMs);
      return { job: await this.save(taken), token: taken.token };
    });
  }

  /** Gives a claim back that nobody took over; nothing happens when it is not the current one. */
  giveBack(id: string, token: bigint): Promise<void> {
    return this.decide(async () => {
      const entry = this.entries.get(id);
      if (entry?.token === token && entry.job.state === JobState.RUNNING) await this.save(givenBack(entry));
    });
  }

  /** @throws JOB_CONFLICT for a stale token, JOB_NOT_FOUND */
  heartbeat(request: jobV1.HeartbeatRequest): Promise<jobV1.Job> {
    return this.decide(async () => {
      const entry = heldBy(this.entry(request.id), request.token);
      const { progress, checkpoint } = request;
      const leaseExpiresAt = leaseUntil(request.leaseMs, this.now());
      const job = {
        ...entry.job,
        leaseExpiresAt,
        ...(progress ? { progress } : {}),
        ...(checkpoint ? { checkpoint } : {}),
      };
      return this.save({ ...entry, job });
    });
  }

  /** Ends a job or gives it back. The same end with the same token twice is answered as the first time. @throws JOB_CONFLICT */
  finish(request: jobV1.FinishRequest): Promise<jobV1.Job> {
    return this.decide(async () => {
      const entry = this.entry(request.id);
      if (entry.token === request.token && isFinal(entry.job) && entry.job.state === request.state)
        return entry.job;
      return this.save(finished(heldBy(entry, request.token), request, this.now()));
    });
  }

  /** Counts changes; hand it to `changed` so that none is missed in between. */
  get changes(): number {
    return this.revision;
  }

  /** Resolves once something has changed since `since`, or when the signal fires. */
  async changed(since: number, signal: AbortSignal): Promise<void> {
    if (this.revision !== since || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.watchers.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.watchers.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /** Deals with lapsed leases and forgets what ended long ago. The leader does this twice a second. */
  async sweep(): Promise<void> {
    const nowMs = this.now();
    const due = [...this.entries.values()];
    if (
      due.some(({ job, notBeforeMs }) => job.state === JobState.QUEUED && notBeforeMs > nowMs - 2 * SWEEP_MS)
    )
      this.wake();
    const ended = due.filter(({ job }) => isFinal(job)).length;
    if (!this.writer.isLeader || (ended <= this.maxEnded && !due.some((entry) => lapsed(entry, nowMs))))
      return;
    await this.decide(async () => {
      for (const entry of [...this.entries.values()]) {
        const next = lapsed(entry, nowMs);
        if (next) await this.save(next);
      }
      const oldest = [...this.entries.values()]
        .map(({ job }) => job)
        .filter(isFinal)
        .sort((a, b) => updatedMs(b) - updatedMs(a))
        .slice(this.maxEnded);
      if (oldest.length > 0) await this.append(oldest.map(({ id }) => forgetJob(id)));
    });
  }

  /** Waiting and running jobs of every kind, zeros included, so that a panel has a line before the first job. Replicas that do not lead tell nothing. */
  private openByKind(): [number, Record<string, string>][] {
    if (!this.writer.isLeader) return [];
    const open = [...this.entries.values()].map(({ job }) => job).filter((job) => !isFinal(job));
    return Object.values(JOB_KINDS).flatMap((kind) =>
      [JobState.QUEUED, JobState.RUNNING].map((state): [number, Record<string, string>] => [
        open.filter((job) => job.kind === kind && job.state === state).length,
        { [ATTRIBUTES.jobKind]: kind, [ATTRIBUTES.jobState]: JobState[state] },
      ]),
    );
  }

  private entry(id: string): JobEntry {
    const entry = this.entries.get(id);
    if (!entry)
      throw new ThalamusError('JOB_NOT_FOUND', `No job ${id} exists; "thalamus jobs list" shows them.`);
    return entry;
  }

  private async save(entry: JobEntry): Promise<jobV1.Job> {
    await this.append([encodeJob(entry, this.now())]);
    if (isFinal(entry.job)) counter(METRICS.jobs).add(1, endingOf(entry.job.kind, entry.job.state));
    return this.entry(entry.job.id).job;
  }

  private async append(records: readonly BusRecord[]): Promise<void> {
    await this.writer.append(records);
    await this.follower?.catchUp();
  }

  /** One decision after the other, each on everything that has been written, also by a former leader. */
  private decide<T>(work: () => Promise<T>): Promise<T> {
    if (this.waiting >= MAX_WAITING_DECISIONS)
      return Promise.reject(
        new ThalamusError(
          'RATE_LIMITED',
          `${this.waiting} calls about jobs wait already; try again in a moment.`,
          { retryAfterMs: 1_000 },
        ),
      );
    this.waiting += 1;
    const result = this.queue
      .then(async () => {
        this.writer.requireLeader();
        await this.follower?.catchUp();
        return work();
      })
      .finally(() => {
        this.waiting -= 1;
      });
    this.queue = result.catch(() => undefined);
    return result;
  }

  private wake(): void {
    this.revision += 1;
    for (const resolve of [...this.watchers]) resolve();
  }
}

function endingOf(kind: string, state: jobV1.JobState): Record<string, string> {
  return { [ATTRIBUTES.jobKind]: kind, [ATTRIBUTES.outcome]: JobState[state] };
}

function createdMs(job: jobV1.Job): number {
  return job.createdAt ? timestampMs(job.createdAt) : 0;
}

function updatedMs(job: jobV1.Job): number {
  return job.updatedAt ? timestampMs(job.updatedAt) : 0;
}
