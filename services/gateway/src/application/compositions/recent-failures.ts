import type { ThalamusError } from '@thalamus/errors';

/** Failures that are remembered at once; of more, the oldest is forgotten. */
const MAX_FAILURES = 1_000;

interface Failure {
  readonly error: ThalamusError;
  /** Unix time in milliseconds. */
  readonly until: number;
}

/** What failed a short while ago, so that a storm of requests does not try it again and again. */
export class RecentFailures {
  private readonly failures = new Map<string, Failure>();

  constructor(
    private readonly rememberMs: number,
    private readonly now: () => number,
  ) {}

  /** Remembers a failure for a while, and longer when it says itself when to try again, or cost so much: `atLeastMs`. */
  add(key: string, error: ThalamusError, atLeastMs = 0): void {
    const until = this.now() + Math.max(this.rememberMs, error.retryAfterMs ?? 0, atLeastMs);
    this.failures.delete(key);
    this.failures.set(key, { error, until });
    const oldest = this.failures.keys().next();
    if (this.failures.size > MAX_FAILURES && !oldest.done) this.failures.delete(oldest.value);
  }

  get(key: string): ThalamusError | undefined {
    const failure = this.failures.get(key);
    if (!failure) return undefined;
    if (failure.until > this.now()) return failure.error;
    this.failures.delete(key);
    return undefined;
  }
}
