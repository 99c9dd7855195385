import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { createLogger } from '@thalamus/telemetry';
import type { jobV1 } from '@thalamus/contracts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkProgress } from './job-process.port.js';
import type { Jobs } from './jobs.port.js';

/** Why work on a claimed job ends early. */
export type StopReason = 'cancelled' | 'lost' | 'draining';

/** How often progress may be reported, in milliseconds. */
const PROGRESS_MS = 1_000;
/** Beats in a lease: two may fail before it lapses. */
const BEATS_PER_LEASE = 3;
/** Pauses before a step is taken again, in milliseconds. */
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;
const GONE = new Set(['JOB_CONFLICT', 'JOB_NOT_FOUND']);

/**
 * The claim of one job while it is held: renews the lease, carries progress, learns of cancellation. Once the lease may have
 * lapsed, work must stop: somebody else may have begun it anew.
 */
export class ClaimedJob {
  readonly id: string;
  private readonly controller = new AbortController();
  private readonly logger = createLogger('claimed-job');
  private timer: NodeJS.Timeout | undefined;
  private latest: WorkProgress | undefined;
  private reported: WorkProgress | undefined;
  private renewedAt: number;
  private beating: Promise<void> = Promise.resolve();

  constructor(
    private readonly jobs: Jobs,
    readonly job: jobV1.Job,
    readonly token: bigint,
    private readonly leaseMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.id = job.id;
    this.renewedAt = now();
  }

  /** Estimated milliseconds to the end of the present stage; 0 while nothing is known. */
  get remainingWorkMs(): number {
    return this.latest?.etaMs ?? 0;
  }

  /** Fires when the work must end; `reason` says why. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Why the work must end; undefined while it may go on. */
  get stopReason(): StopReason | undefined {
    return this.signal.aborted ? (this.signal.reason as StopReason) : undefined;
  }

  /** Begins to renew the lease. */
  begin(): void {
    const beatMs = this.leaseMs / BEATS_PER_LEASE;
    this.timer = setInterval(
      () => {
        const due = this.now() - this.renewedAt >= beatMs - PROGRESS_MS / 2;
        if (due || this.latest !== this.reported) void this.beat();
      },
      Math.min(PROGRESS_MS, beatMs),
    );
  }

  /** Remembers how far the work is; the next beat tells. */
  report(progress: WorkProgress): void {
    this.latest = progress;
  }

  /** Ends the work because the worker is to go. */
  drain(): void {
    this.stop('draining');
  }

  /** Stores a checkpoint, and with it proves that the claim still holds. @throws JOB_CONFLICT */
  async checkpoint(checkpoint: { readonly name: string; readonly digest: string }): Promise<void> {
    await this.renew({ checkpoint });
  }

  /** Proves that the claim still holds. @throws JOB_CONFLICT */
  async confirm(): Promise<void> {
    await this.renew({});
  }

  /**
   * Takes a step again, after pauses that grow and for no longer than a lease, while it fails of what may pass and the claim
   * holds: what was computed should outlast an updater that is being replaced. The step may have been taken already when it is
   * taken again.
   * @throws the last fault of the step
   */
  async persist<T>(step: () => Promise<T>): Promise<T> {
    const giveUpAt = this.now() + this.leaseMs;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
      try {
        return await step();
      } catch (fault) {
        const mayPass = toThalamusError(fault).spec.retryable;
        const leftMs = Math.min(giveUpAt - this.now(), this.remainingMs);
        if (!mayPass || this.stopReason !== undefined || leftMs <= pauseMs) throw fault;
      }
      await sleep(pauseMs, undefined, { signal: this.signal }).catch(() => undefined);
    }
  }

  /** Stops renewing; a beat in flight ends first. */
  async end(): Promise<void> {
    clearInterval(this.timer);
    await this.beating;
  }

  /** How long the claim holds without another beat, in milliseconds. */
  get remainingMs(): number {
    return this.renewedAt + this.leaseMs - this.now();
  }

  private beat(): Promise<void> {
    const next = this.beating
      .then(() => this.renew({}))
      .catch((fault: unknown) => {
        const error = toThalamusError(fault);
        this.logger.warn({ job: this.id, code: error.code }, 'heartbeat failed');
        if (GONE.has(error.code) || this.remainingMs <= 0) this.stop('lost');
      });
    this.beating = next;
    return next;
  }

  private async renew(more: { readonly checkpoint?: { readonly name: string; readonly digest: string } }) {
    if (this.stopReason === 'lost')
      throw new ThalamusError('JOB_CONFLICT', `The claim of job ${this.id} is lost.`);
    const sentAt = this.now();
    const progress = this.latest;
    const { cancelRequested } = await this.jobs.heartbeat({
      id: this.id,
      token: this.token,
      leaseMs: this.leaseMs,
      ...(progress ? { progress: progressMessage(progress) } : {}),
      ...more,
    });
    // From when it was sent: the lease can only be longer than that.
    this.renewedAt = sentAt;
    this.reported = progress;
    if (cancelRequested) this.stop('cancelled');
  }

  private stop(reason: StopReason): void {
    if (!this.signal.aborted) this.controller.abort(reason);
  }
}

function progressMessage({ stage, done, total, etaMs, loss }: WorkProgress) {
  const counts = { done: BigInt(done), total: BigInt(total), etaMs: BigInt(Math.round(etaMs)) };
  return { stage, ...counts, ...(loss === undefined ? {} : { loss }) };
}
