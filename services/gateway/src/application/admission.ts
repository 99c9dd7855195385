import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';

interface Bucket {
  tokens: number;
  refilledAt: number;
  inFlight: number;
}

/** Admits requests: a bound on all of them, and each tenant's rate and concurrency by its policy. Never queues. */
export class Admission {
  private readonly buckets = new Map<string, Bucket>();
  private total = 0;

  constructor(
    private readonly view: RegistryView,
    private readonly maxInFlight: number,
    private readonly now: () => number = Date.now,
  ) {}

  /** Requests that are being served. */
  get inFlight(): number {
    return this.total;
  }

  /** Admits one request of a tenant; the returned function ends it. @throws EXPERT_OVERLOADED, RATE_LIMITED with a time to retry */
  enter(tenant: string): () => void {
    if (this.total >= this.maxInFlight) {
      throw new ThalamusError(
        'EXPERT_OVERLOADED',
        `${this.total} requests are being served; try again in a moment.`,
        { retryAfterMs: 500 },
      );
    }
    const policy = this.view.policy(tenant);
    const bucket = this.bucket(tenant);
    if (policy && policy.maxInFlight > 0 && bucket.inFlight >= policy.maxInFlight) {
      throw new ThalamusError(
        'RATE_LIMITED',
        `The tenant ${tenant} has ${bucket.inFlight} requests running, which is its limit; wait for one to end.`,
        { retryAfterMs: 500 },
      );
    }
    if (policy && policy.requestsPerSecond > 0) this.takeToken(tenant, bucket, policy.requestsPerSecond);
    this.total += 1;
    bucket.inFlight += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.total -= 1;
      bucket.inFlight -= 1;
    };
  }

  private takeToken(tenant: string, bucket: Bucket, rate: number): void {
    const now = this.now();
    const burst = Math.max(1, rate);
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.refilledAt) / 1000) * rate);
    bucket.refilledAt = now;
    if (bucket.tokens < 1) {
      const retryAfterMs = Math.ceil(((1 - bucket.tokens) / rate) * 1000);
      throw new ThalamusError(
        'RATE_LIMITED',
        `The tenant ${tenant} may make ${rate} requests a second; try again in ${retryAfterMs} ms.`,
        { retryAfterMs },
      );
    }
    bucket.tokens -= 1;
  }

  private bucket(tenant: string): Bucket {
    let bucket = this.buckets.get(tenant);
    if (!bucket) {
      bucket = { tokens: Number.MAX_SAFE_INTEGER, refilledAt: this.now(), inFlight: 0 };
      this.buckets.set(tenant, bucket);
    }
    return bucket;
  }
}
