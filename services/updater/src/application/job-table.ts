import { create } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { ATTRIBUTES, JOB_KINDS, jobV1, METRICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { BusRecord, EventBus } from '@thalamus/events';
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
import { DecisionQueue } from './decision-queue.js';
import { DEFAULT_ATTEMPTS, encodeJob, forgetJob } from './job-records.js';
import { JobView } from './job-view.js';

const { JobState } = jobV1;
const SWEEP_MS = 500;

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
 * Durable jobs with leases, written by the elected writer alone. A claim lapses when heartbeats stop; each claim has a higher
 * token, and only the holder of the current one may finish. Every decision is taken one after the other, on a view that has
 * read everything.
 */
export class JobTable {
  readonly name = 'job table';
  private readonly view: JobView;
  private readonly logger = createLogger('job-table');
  private readonly now: () => number;
  private readonly maxOpen: number;
  private readonly maxEnded: number;
  private sweeping: NodeJS.Timeout | undefined;
  private sweepNow: Promise<void> | undefined;
  private stopGauge: () => void = () => undefined;
  private readonly queue = new DecisionQueue('calls about jobs', 'RATE_LIMITED');

  constructor(
    bus: EventBus,
    private readonly writer: JobWriter,
    options: JobTableOptions = {},
  ) {
    this.view = new JobView(bus);
    this.now = options.now ?? Date.now;
    this.maxOpen = options.maxOpen ?? 1_000;
    this.maxEnded = options.maxEnded ?? 1_000;
  }

  async start(): Promise<void> {
    await this.view.start();
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
    return this.view.readiness();
  }

  async close(): Promise<void> {
    clearInterval(this.sweeping);
    this.stopGauge();
    await this.view.close();
  }

  get(id: string): jobV1.Job {
    return this.view.entry(id).job;
  }

  /** The job of an id, or none. */
  find(id: string): jobV1.Job | undefined {
    return this.view.find(id)?.job;
  }

  /** Newest first. */
  list(kind: string, state: jobV1.JobState): jobV1.Job[] {
    return this.view.list(kind, state);
  }

  /** Stores a job; the one of the same idempotency key or id when there is one. @throws RATE_LIMITED when too many wait. */
  submit(request: jobV1.SubmitRequest, id: string = randomUUID()): Promise<jobV1.Job> {
    return this.decide(async () => {
      const { idempotencyKey } = request;
      const known =
        this.view.find(id) ??
        this.view.all().find((entry) => idempotencyKey !== '' && entry.idempotencyKey === idempotencyKey);
      if (known) return known.job;
      const open = this.view.all().filter(({ job }) => !isFinal(job)).length;
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
      const entry = this.view.entry(id);
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
      const entry = this.view
        .list('', JobState.QUEUED)
        .reverse()
        .map((job) => this.view.entry(job.id))
        .find(({ job, notBeforeMs }) => kinds.includes(job.kind) && notBeforeMs <= nowMs);
      if (!entry) return undefined;
      const taken = claimed(entry, worker, leaseMs, nowMs);
      return { job: await this.save(taken), token: taken.token };
    });
  }

  /** Gives a claim back that nobody took over; nothing happens when it is not the current one. */
  giveBack(id: string, token: bigint): Promise<void> {
    return this.decide(async () => {
      const entry = this.view.find(id);
      if (entry?.token === token && entry.job.state === JobState.RUNNING) await this.save(givenBack(entry));
    });
  }

  /** @throws JOB_CONFLICT for a stale token, JOB_NOT_FOUND */
  heartbeat(request: jobV1.HeartbeatRequest): Promise<jobV1.Job> {
    return this.decide(async () => {
      const entry = heldBy(this.view.entry(request.id), request.token);
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
      const entry = this.view.entry(request.id);
      if (entry.token === request.token && isFinal(entry.job) && entry.job.state === request.state)
        return entry.job;
      return this.save(finished(heldBy(entry, request.token), request, this.now()));
    });
  }

  /** Counts changes; hand it to `changed` so that none is missed in between. */
  get changes(): number {
    return this.view.changes;
  }

  /** Resolves once something has changed since `since`, or when the signal fires. */
  changed(since: number, signal: AbortSignal): Promise<void> {
    return this.view.changed(since, signal);
  }

  /** Deals with lapsed leases and forgets what ended long ago. The leader does this twice a second. */
  async sweep(): Promise<void> {
    const nowMs = this.now();
    const due = this.view.all();
    if (
      due.some(({ job, notBeforeMs }) => job.state === JobState.QUEUED && notBeforeMs > nowMs - 2 * SWEEP_MS)
    )
      this.view.wake();
    const ended = due.filter(({ job }) => isFinal(job)).length;
    if (!this.writer.isLeader || (ended <= this.maxEnded && !due.some((entry) => lapsed(entry, nowMs))))
      return;
    await this.decide(async () => {
      for (const entry of this.view.all()) {
        const next = lapsed(entry, nowMs);
        if (next) await this.save(next);
      }
      const oldest = this.view
        .all()
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
    const open = this.view
      .all()
      .map(({ job }) => job)
      .filter((job) => !isFinal(job));
    return Object.values(JOB_KINDS).flatMap((kind) =>
      [JobState.QUEUED, JobState.RUNNING].map((state): [number, Record<string, string>] => [
        open.filter((job) => job.kind === kind && job.state === state).length,
        { [ATTRIBUTES.jobKind]: kind, [ATTRIBUTES.jobState]: JobState[state] },
      ]),
    );
  }

  private async save(entry: JobEntry): Promise<jobV1.Job> {
    await this.append([encodeJob(entry, this.now())]);
    if (isFinal(entry.job)) counter(METRICS.jobs).add(1, endingOf(entry.job.kind, entry.job.state));
    return this.view.entry(entry.job.id).job;
  }

  private async append(records: readonly BusRecord[]): Promise<void> {
    await this.writer.append(records);
    await this.view.catchUp();
  }

  /** One decision after the other, each on everything that has been written, also by a former leader. */
  private decide<T>(work: () => Promise<T>): Promise<T> {
    return this.queue.decide(async () => {
      this.writer.requireLeader();
      await this.view.catchUp();
      return work();
    });
  }
}

function endingOf(kind: string, state: jobV1.JobState): Record<string, string> {
  return { [ATTRIBUTES.jobKind]: kind, [ATTRIBUTES.outcome]: JobState[state] };
}

function updatedMs(job: jobV1.Job): number {
  return job.updatedAt ? timestampMs(job.updatedAt) : 0;
}
