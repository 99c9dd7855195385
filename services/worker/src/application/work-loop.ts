import { ATTRIBUTES, jobV1, METRICS } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { createLogger, gauge, histogram, withSpan } from '@thalamus/telemetry';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClaimedJob } from './claimed-job.js';
import type { Jobs } from './jobs.port.js';

const { JobState } = jobV1;

/** What a job gave. */
export interface JobOutcome {
  readonly outputs: readonly { readonly name: string; readonly digest: string }[];
  /** Figures and names, as JSON. */
  readonly result: Readonly<Record<string, unknown>>;
}

/** Does the work of one kind. Must end soon after the claim's signal fires. */
export type JobRunner = (claim: ClaimedJob) => Promise<JobOutcome>;

/** How the loop behaves. */
export interface WorkLoopOptions {
  /** Unique to this process. */
  readonly worker: string;
  readonly leaseMs: number;
  /** How long one call waits for a job. */
  readonly waitMs: number;
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;

/** Claims one job after the other and sees each to its end. */
export class WorkLoop {
  readonly name = 'work loop';
  private readonly stopping = new AbortController();
  private readonly logger = createLogger('work-loop');
  private running: Promise<void> = Promise.resolve();
  private current: ClaimedJob | undefined;
  private trouble: string | undefined = 'has not reached the job table yet';
  private readonly durations = histogram(METRICS.jobDuration);
  private stopGauge: () => void = () => undefined;

  constructor(
    private readonly jobs: Jobs,
    private readonly runners: Readonly<Record<string, JobRunner>>,
    private readonly options: WorkLoopOptions,
  ) {}

  start(): Promise<void> {
    this.stopGauge = gauge(METRICS.jobRemaining, () => this.remaining());
    this.running = this.loop();
    return Promise.resolve();
  }

  readiness(): { ready: boolean; reason?: string } {
    return this.trouble === undefined ? { ready: true } : { ready: false, reason: this.trouble };
  }

  /**
   * Takes no new job and gives the present one back, so that another worker goes on at once. Past the deadline its lease
   * lapses instead.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.stopping.abort();
    this.current?.drain();
    const timer = new AbortController();
    const late = sleep(deadlineMs, 'late', { signal: timer.signal }).catch(() => undefined);
    if ((await Promise.race([this.running, late])) === 'late')
      this.logger.warn({ job: this.current?.id }, 'the job could not be given back in time');
    timer.abort();
    this.stopGauge();
  }

  /** Seconds left of the present job; 0 for kinds of which none is held. */
  private remaining(): [number, Record<string, string>][] {
    return Object.keys(this.runners).map((kind) => [
      this.current?.job.kind === kind ? this.current.remainingWorkMs / 1_000 : 0,
      { [ATTRIBUTES.jobKind]: kind },
    ]);
  }

  private async loop(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (!this.stopping.signal.aborted) {
      try {
        const { worker, leaseMs, waitMs } = this.options;
        // After trouble the first answer comes at once: readiness should not wait for a job.
        const request = {
          worker,
          leaseMs,
          waitMs: this.trouble === undefined ? waitMs : 0,
          kinds: Object.keys(this.runners),
        };
        const { job, token } = await this.jobs.claim(request, this.stopping.signal);
        this.trouble = undefined;
        pauseMs = FIRST_PAUSE_MS;
        if (job) await this.see(new ClaimedJob(this.jobs, job, token, leaseMs));
      } catch (fault) {
        if (this.isStopping()) return;
        const error = toThalamusError(fault);
        if (this.trouble === undefined) this.logger.warn({ code: error.code }, 'cannot claim jobs');
        this.trouble = error.message;
        await sleep(pauseMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
        pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
      }
    }
  }

  /** Runs a job and tells how it ended. Never throws: what goes wrong is the job's. */
  private async see(claim: ClaimedJob): Promise<void> {
    const { id, kind, attempt } = claim.job;
    this.logger.info({ job: id, kind, attempt }, 'job claimed');
    this.current = claim;
    claim.begin();
    const startedAt = performance.now();
    // A drain may have begun while the claim was on its way.
    if (this.isStopping()) claim.drain();
    let end: EndOfJob;
    try {
      const outcome = await withSpan(`job ${kind}`, { attributes: { [ATTRIBUTES.jobKind]: kind } }, () =>
        this.run(claim),
      );
      end = { state: JobState.SUCCEEDED, ...outcome };
    } catch (fault) {
      end = endOf(claim, fault);
      const { code, cause } = toThalamusError(fault);
      if (end.state === JobState.FAILED)
        this.logger.error({ job: id, kind, code, error: cause }, 'job failed');
    }
    await claim.end();
    this.durations.record((performance.now() - startedAt) / 1_000, {
      [ATTRIBUTES.jobKind]: kind,
      [ATTRIBUTES.outcome]: JobState[end.state],
    });
    await this.finish(claim, end);
    this.current = undefined;
  }

  private async run(claim: ClaimedJob): Promise<JobOutcome> {
    const runner = this.runners[claim.job.kind];
    if (!runner)
      throw new ThalamusError(
        'METHOD_UNSUPPORTED',
        `This worker runs no jobs of the kind ${claim.job.kind}.`,
      );
    return runner(claim);
  }

  /** Tells the end as long as the claim may hold; after that the job is somebody else's. */
  private async finish(claim: ClaimedJob, end: EndOfJob): Promise<void> {
    const { id } = claim;
    if (claim.stopReason === 'lost') {
      this.logger.warn({ job: id }, 'claim lost; what was done is dropped');
      return;
    }
    let pauseMs = FIRST_PAUSE_MS;
    for (;;) {
      try {
        const { job } = await this.jobs.finish({ id, token: claim.token, ...end } as Parameters<
          Jobs['finish']
        >[0]);
        this.logger.info({ job: id, state: JobState[job?.state ?? 0] }, 'job ended');
        return;
      } catch (fault) {
        const { code, spec } = toThalamusError(fault);
        if (!spec.retryable || claim.remainingMs <= pauseMs) {
          this.logger.warn({ job: id, code }, 'the end of the job could not be told; its lease lapses');
          return;
        }
      }
      await sleep(pauseMs);
      pauseMs *= 2;
    }
  }

  private isStopping(): boolean {
    return this.stopping.signal.aborted;
  }
}

interface EndOfJob extends Partial<JobOutcome> {
  readonly state: jobV1.JobState;
  readonly errorCode?: string;
  readonly errorMessage?: string;
}

function endOf(claim: ClaimedJob, fault: unknown): EndOfJob {
  if (claim.stopReason === 'cancelled') return { state: JobState.CANCELLED };
  if (claim.stopReason === 'draining') return { state: JobState.QUEUED };
  const { code, message } = toThalamusError(fault);
  return { state: JobState.FAILED, errorCode: code, errorMessage: message };
}
