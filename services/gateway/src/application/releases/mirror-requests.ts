import { ATTRIBUTES, METRICS, type inference } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { ServiceComponent } from '@thalamus/lifecycle';
import { counter, gauge } from '@thalamus/telemetry';
import { agreementOf } from '../../domain/answer-agreement.js';
import type { Caller, RequestScope } from '../../domain/caller.js';
import type { HostRequest, InferOnHost } from '../infer-on-host.js';
import { PaceByRelease } from './pace-by-release.js';
import type { LiveRelease, LiveReleases } from './live-releases.js';
import type { RecordComparison } from './record-comparison.js';

/** A request that the stable version has answered. */
export interface Mirrored {
  readonly release: LiveRelease;
  readonly scope: RequestScope;
  readonly stableVersion: string;
  readonly request: HostRequest;
  readonly response: inference.ModelInferResponse;
  /** How long the stable version took, milliseconds. */
  readonly stableMs: number;
}

/** What mirroring may take. */
export interface MirrorBudget {
  /** Requests that candidates answer at once. */
  readonly atOnce: number;
  /** Requests that wait for that; more are dropped. */
  readonly queue: number;
  /** Most requests a second, of all releases together. */
  readonly perSecond: number;
  readonly timeoutMs: number;
}

/** What mirroring stands on. */
export interface MirrorParts {
  readonly hosts: Pick<InferOnHost, 'run'>;
  readonly releases: Pick<LiveReleases, 'isLive'>;
  readonly canAsk: (release: LiveRelease, caller: Caller) => boolean;
  readonly comparisons: Pick<RecordComparison, 'run'>;
  /** Whether the gateway has so much to do for callers that it does nothing else. */
  readonly isBusy: () => boolean;
  /** From 0 to below 1. */
  readonly random?: () => number;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/** Why a request that was picked was not mirrored. */
type Dropped = 'busy' | 'cold' | 'full' | 'pace' | 'over';

/**
 * Has candidates answer requests that the stable version has answered already, and tells how the answers compare; the caller has its
 * answer and hears nothing of it. Whoever offers a request waits for nothing. Everything is bounded, nothing is tried twice, and
 * what does not fit is dropped and counted.
 */
export class MirrorRequests implements ServiceComponent {
  readonly name = 'mirrored requests';
  private readonly counted = counter(METRICS.mirrored);
  private readonly queue: Mirrored[] = [];
  private readonly pace: PaceByRelease;
  private readonly ending = new AbortController();
  private running = 0;
  private isWoken = false;
  private stopGauge: () => void = () => undefined;

  constructor(
    private readonly parts: MirrorParts,
    private readonly budget: MirrorBudget,
  ) {
    this.pace = new PaceByRelease(budget.perSecond, parts.now ?? (() => performance.now()));
  }

  start(): Promise<void> {
    this.stopGauge = gauge(METRICS.mirrorQueue, () => [[this.queue.length, {}]]);
    return Promise.resolve();
  }

  /** Nothing that waits is worth waiting for. */
  drain(): Promise<void> {
    this.queue.length = 0;
    this.ending.abort(new ThalamusError('CANCELLED', 'The gateway ends.'));
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.stopGauge();
    return this.drain();
  }

  /** Takes a request, or drops it; never throws. */
  offer(mirrored: Mirrored): void {
    const { release } = mirrored;
    const random = this.parts.random ?? Math.random;
    if (!(release.mirrorShare > 0) || random() >= release.mirrorShare || this.ending.signal.aborted) return;
    const why = this.reasonAgainst(mirrored);
    if (why !== undefined) {
      this.count(release, why);
      return;
    }
    this.queue.push(mirrored);
    this.wake();
  }

  private reasonAgainst({ release, scope }: Mirrored): Dropped | undefined {
    if (this.parts.isBusy()) return 'busy';
    if (!this.parts.canAsk(release, scope.caller)) return 'cold';
    if (this.queue.length >= this.budget.queue) return 'full';
    return this.pace.take(release) ? undefined : 'pace';
  }

  /** Later, so that the answer to the caller goes first. */
  private wake(): void {
    if (this.isWoken) return;
    this.isWoken = true;
    setImmediate(() => {
      this.isWoken = false;
      this.fill();
    });
  }

  private fill(): void {
    while (this.running < this.budget.atOnce) {
      const next = this.queue.shift();
      if (!next) return;
      const why = this.reasonToLeave(next);
      if (why !== undefined) {
        this.count(next.release, why);
        continue;
      }
      this.running += 1;
      void this.compare(next).finally(() => {
        this.running -= 1;
        this.wake();
      });
    }
  }

  /** What has changed while a request waited. */
  private reasonToLeave({ release }: Mirrored): Dropped | undefined {
    if (!this.parts.releases.isLive(release)) return 'over';
    return this.parts.isBusy() ? 'busy' : undefined;
  }

  private async compare({ release, request, response, scope, ...facts }: Mirrored): Promise<void> {
    const startedAt = performance.now();
    const told = { scope, release, stableVersion: facts.stableVersion, stableMs: facts.stableMs };
    // What the caller still waits for, and until when, is no matter here.
    const own = {
      requestId: scope.requestId,
      caller: scope.caller,
      completion: { isRecorded: true },
      signal: this.ending.signal,
      deadlineAtMs: Date.now() + this.budget.timeoutMs,
    };
    try {
      const { expert, toVersion } = release;
      const candidate = await this.parts.hosts.run(expert, toVersion, request, own, 'once');
      const candidateMs = performance.now() - startedAt;
      const agreement = agreementOf(response, candidate);
      this.parts.comparisons.run({ ...told, candidateMs, ...agreement, candidateError: undefined });
      this.count(release, agreement.agree ? 'agreed' : 'differed');
    } catch (fault) {
      if (this.ending.signal.aborted) return;
      const { code } = toThalamusError(fault);
      // Too much to do is no fault of the candidate when nobody waits for its answer.
      if (code === 'EXPERT_OVERLOADED') {
        this.count(release, 'busy' satisfies Dropped);
        return;
      }
      this.parts.comparisons.run({
        ...told,
        candidateMs: performance.now() - startedAt,
        ...agreementOf(response, NO_ANSWER),
        agree: false,
        candidateError: code,
      });
      this.count(release, code);
    }
  }

  private count({ expert }: LiveRelease, outcome: string): void {
    this.counted.add(1, { [ATTRIBUTES.expertName]: expert, [ATTRIBUTES.outcome]: outcome });
  }
}

const NO_ANSWER = { outputs: [], rawOutputContents: [] };
