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

/** Longest time that an upstream may have itself left alone with Retry-After, milliseconds: it may be wrong about it. */
export const MAX_REST_MS = 60_000;

/**
 * Leaves an upstream that keeps failing alone for a while, then lets one request through to see whether it is back. One that
 * says that it is out of rate limit is left alone for as long as it asks.
 */
export class BreakingUpstream implements ChatUpstream {
  private readonly breakers = new Map<string, CircuitBreakerPolicy>();
  /** When those that are out of rate limit may be asked again, by the clock of `performance.now()`. */
  private readonly rests = new Map<string, number>();

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
    this.requireRested(target);
    const breaker = this.breaker(target);
    // One request looks whether the upstream is back; the others do not wait for it.
    if (breaker.state === CircuitState.HalfOpen) throw this.leftAlone(target);
    try {
      return await breaker.execute(work);
    } catch (fault) {
      this.noteRest(target, fault);
      throw fault instanceof BrokenCircuitError ? this.leftAlone(target) : fault;
    }
  }

  private noteRest(target: UpstreamTarget, fault: unknown): void {
    if (!ThalamusError.is(fault) || fault.code !== 'RATE_LIMITED') return;
    const restMs = Math.min(MAX_REST_MS, fault.retryAfterMs ?? 0);
    this.rests.set(circuitOf(target), performance.now() + restMs);
  }

  /** @throws RATE_LIMITED while the upstream rests: nobody asks it, so that asking another one is no second try */
  private requireRested(target: UpstreamTarget): void {
    const key = circuitOf(target);
    const leftMs = (this.rests.get(key) ?? 0) - performance.now();
    if (leftMs > 0)
      throw new ThalamusError('RATE_LIMITED', `${target.expert} is out of rate limit and is left alone.`, {
        retryAfterMs: leftMs,
        metadata: { upstream: target.expert, ...NOT_ASKED },
      });
    this.rests.delete(key);
  }

  private leftAlone({ expert }: UpstreamTarget): ThalamusError {
    return new ThalamusError(
      'UPSTREAM_UNAVAILABLE',
      `${expert} has failed ${FAILURES_TO_OPEN} times in a row and is left alone for a moment.`,
      { retryAfterMs: this.pauseMs, metadata: { upstream: expert, ...NOT_ASKED } },
    );
  }

  private breaker(target: UpstreamTarget): CircuitBreakerPolicy {
    const key = circuitOf(target);
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

/** One circuit for each model of each address: a wrong key of one says nothing of the others. */
function circuitOf({ baseUrl, model, keyReference }: UpstreamTarget): string {
  return [baseUrl, model, keyReference].join(' ');
}

/** What the upstream did, not what the caller did: one that does not know what was asked (404) is well. */
function countsAsFailure(fault: Error): boolean {
  if (!ThalamusError.is(fault)) return false;
  if (fault.code === 'UPSTREAM_UNAVAILABLE') return true;
  return fault.code === 'UPSTREAM_ERROR' && fault.metadata['status'] !== '404';
}
