import { ThalamusError } from '@thalamus/errors';
import {
  BrokenCircuitError,
  circuitBreaker,
  ConsecutiveBreaker,
  handleWhen,
  type CircuitBreakerPolicy,
} from 'cockatiel';
import type {
  ChatUpstream,
  UpstreamAnswer,
  UpstreamEvent,
  UpstreamRequest,
  UpstreamTarget,
} from '../../application/chat/chat-upstream.port.js';

/** Failures in a row after which an upstream is left alone. */
export const FAILURES_TO_OPEN = 5;

/** Leaves an upstream that keeps failing alone for a while, then lets one request through to see whether it is back. */
export class BreakingUpstream implements ChatUpstream {
  private readonly breakers = new Map<string, CircuitBreakerPolicy>();

  constructor(
    private readonly inner: ChatUpstream,
    private readonly pauseMs: number,
  ) {}

  complete(target: UpstreamTarget, request: UpstreamRequest): Promise<UpstreamAnswer> {
    return this.guarded(target, () => this.inner.complete(target, request));
  }

  stream(target: UpstreamTarget, request: UpstreamRequest): Promise<AsyncIterable<UpstreamEvent>> {
    return this.guarded(target, () => this.inner.stream(target, request));
  }

  private async guarded<T>(target: UpstreamTarget, work: () => Promise<T>): Promise<T> {
    try {
      return await this.breaker(target.baseUrl).execute(work);
    } catch (fault) {
      if (!(fault instanceof BrokenCircuitError)) throw fault;
      throw new ThalamusError(
        'UPSTREAM_UNAVAILABLE',
        `${target.expert} has failed ${FAILURES_TO_OPEN} times in a row and is left alone for a moment.`,
        { retryAfterMs: this.pauseMs, metadata: { upstream: target.expert } },
      );
    }
  }

  private breaker(key: string): CircuitBreakerPolicy {
    let breaker = this.breakers.get(key);
    if (!breaker) {
      breaker = circuitBreaker(handleWhen(countsAsFailure), {
        halfOpenAfter: this.pauseMs,
        breaker: new ConsecutiveBreaker(FAILURES_TO_OPEN),
      });
      this.breakers.set(key, breaker);
    }
    return breaker;
  }
}

/** What the upstream did, not what the caller did. */
function countsAsFailure(fault: Error): boolean {
  return (
    ThalamusError.is(fault) && (fault.code === 'UPSTREAM_UNAVAILABLE' || fault.code === 'UPSTREAM_ERROR')
  );
}
