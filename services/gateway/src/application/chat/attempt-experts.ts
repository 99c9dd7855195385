import { toThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import type { RequestScope } from '../../domain/caller.js';
import { afterCandidate, type ResolvedExpert } from '../resolve-expert.js';
import { mayFallBack, wasAsked, type UpstreamTarget } from './chat-upstream.port.js';
import { upstreamOf } from './find-upstreams.js';

/** Experts that are asked for one request before it fails. */
const MAX_ATTEMPTS = 3;
/** Second attempts may be at most this share of requests, and a few more at the beginning. */
const RETRY_SHARE = 0.2;
const RETRY_RESERVE = 10;

/** What is attempted. */
export interface Attempt<T> {
  readonly scope: RequestScope;
  /** Asks an upstream, which has to answer by that time, Unix milliseconds; one that streams, to begin. */
  readonly ask: (target: UpstreamTarget, deadlineAtMs: number) => Promise<T>;
  /** Hears of each version before it is asked. */
  readonly turnedTo: (target: ResolvedExpert) => void;
}

/** What answered, or has begun to. */
export interface Attempted<T> {
  readonly result: T;
  readonly target: UpstreamTarget;
}

/**
 * Asks experts in their order until one begins to answer, within a budget of second attempts. After the candidate of a release the
 * stable version of the same expert is asked, whatever the candidate's reason, and without a price: the candidate has half of the time.
 */
export class AttemptExperts {
  private budget = RETRY_RESERVE;

  constructor(private readonly view: RegistryView) {}

  /** @throws what the last one that was asked says */
  async run<T>(experts: readonly ResolvedExpert[], attempt: Attempt<T>): Promise<Attempted<T>> {
    const { scope } = attempt;
    this.budget = Math.min(RETRY_RESERVE, this.budget + RETRY_SHARE);
    for (let index = 0; ; index++) {
      try {
        return await this.askVersions(experts[index] as ResolvedExpert, attempt);
      } catch (fault) {
        const error = toThalamusError(fault);
        const last = index + 1 >= Math.min(experts.length, MAX_ATTEMPTS);
        const price = wasAsked(error) ? 1 : 0;
        if (last || !mayFallBack(error) || scope.signal.aborted || this.budget < price) throw error;
        this.budget -= price;
      }
    }
  }

  private async askVersions<T>(resolved: ResolvedExpert, attempt: Attempt<T>): Promise<Attempted<T>> {
    const { instead } = resolved;
    const { deadlineAtMs, signal } = attempt.scope;
    if (!instead) return this.askOne(resolved, attempt, deadlineAtMs);
    const now = Date.now();
    try {
      return await this.askOne(resolved, attempt, now + (deadlineAtMs - now) / 2);
    } catch (fault) {
      if (signal.aborted) throw fault;
      return this.askOne(afterCandidate(instead, fault), attempt, deadlineAtMs);
    }
  }

  private async askOne<T>(
    resolved: ResolvedExpert,
    { ask, turnedTo }: Attempt<T>,
    deadlineAtMs: number,
  ): Promise<Attempted<T>> {
    turnedTo(resolved);
    const target = upstreamOf(this.view, resolved);
    return { result: await ask(target, deadlineAtMs), target };
  }
}
