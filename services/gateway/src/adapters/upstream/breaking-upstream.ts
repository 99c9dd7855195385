import { ThalamusError } from '@thalamus/errors';
import {
  BrokenCircuitError,
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  handleWhen,
  type CircuitBreakerPolicy,
} from 'cockatiel';
import {
  NOT_ASKED,
  type ChatUpstream,
  type UpstreamAnswer,
  type UpstreamEvent,
  type UpstreamRequest,
  type UpstreamTarget,
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
    const breaker = this.breaker(target);
    // One request looks whether the upstream is back; the others do not wait for it.
    if (breaker.state === CircuitState.HalfOpen) throw this.leftAlone(target);
    try {
      return await breaker.execute(work);
    } catch (fault) {
      throw fault instanceof BrokenCircuitError ? this.leftAlone(target) : fault;
    }
  }

  private leftAlone({ expert }: UpstreamTarget): ThalamusError {
    return new ThalamusError(
      'UPSTREAM_UNAVAILABLE',
      `${expert} has failed ${FAILURES_TO_OPEN} times in a row and is left alone for a moment.`,
      { retryAfterMs: this.pauseMs, metadata: { upstream: expert, ...NOT_ASKED } },
    );
  }

  /** One for each model of each address: a wrong key of one says nothing of the others. */
  private breaker({ baseUrl, model, keyReference }: UpstreamTarget): CircuitBreakerPolicy {
    const key = [baseUrl, model, keyReference].join(' ');
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

/** What the upstream did, not what the caller did: one that does not know what was asked (404) is well. */
function countsAsFailure(fault: Error): boolean {
  if (!ThalamusError.is(fault)) return false;
  if (fault.code === 'UPSTREAM_UNAVAILABLE') return true;
  return fault.code === 'UPSTREAM_ERROR' && fault.metadata['status'] !== '404';
}
