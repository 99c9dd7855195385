import type { eventsV1 } from '@thalamus/contracts';

/** What happened in the last second, and since this process began to watch. */
export interface LiveSnapshot {
  /** ISO time of the end of the second. */
  readonly at: string;
  readonly requestsPerSecond: number;
  readonly errorsPerSecond: number;
  /** Of requests that were answered within the last 30 s; 0 when there were none. */
  readonly latencyMs: { readonly p50: number; readonly p95: number };
  readonly totals: { readonly requests: number; readonly errors: number; readonly abstained: number };
  /** Experts by answers given, most first. */
  readonly wins: readonly { readonly expert: string; readonly count: number }[];
  /** What answers of priced experts cost, and what the dearest candidate would have cost for each of them, USD. */
  readonly costUsd: number;
  readonly dearestUsd: number;
}

/** Prices of an expert, USD per million tokens; undefined when it has none. */
export type PriceOf = (expert: string) => { readonly input: number; readonly output: number } | undefined;

const WINDOW_SECONDS = 30;
/** Latencies kept for one second; a fair sample of more is not needed for a picture. */
const MAX_SAMPLES = 512;

interface Second {
  requests: number;
  errors: number;
  readonly latencies: number[];
}

/** Counts completed requests second by second. Bounded: thirty seconds of samples, one counter an expert. */
export class LiveBoard {
  private readonly seconds: Second[] = [emptySecond()];
  private readonly wins = new Map<string, number>();
  private readonly totals = { requests: 0, errors: 0, abstained: 0 };
  private costUsd = 0;
  private dearestUsd = 0;

  constructor(private readonly priceOf: PriceOf) {}

  add(event: eventsV1.RequestCompleted): void {
    const second = this.seconds.at(-1) as Second;
    second.requests += 1;
    this.totals.requests += 1;
    if (event.abstained) this.totals.abstained += 1;
    if (event.errorCode !== '') {
      // A router that says "none of them" has done its work.
      if (!event.abstained) {
        second.errors += 1;
        this.totals.errors += 1;
      }
      return;
    }
    const latency = event.timingsMs['total'];
    if (latency !== undefined && second.latencies.length < MAX_SAMPLES) second.latencies.push(latency);
    if (event.expert !== '') this.wins.set(event.expert, (this.wins.get(event.expert) ?? 0) + 1);
    this.addCost(event);
  }

  /** Ends the second that runs and says how it was. Called once a second. */
  tick(now: Date): LiveSnapshot {
    const second = this.seconds.at(-1) as Second;
    const latencies = this.seconds.flatMap((item) => item.latencies).sort((a, b) => a - b);
    const snapshot: LiveSnapshot = {
      at: now.toISOString(),
      requestsPerSecond: second.requests,
      errorsPerSecond: second.errors,
      latencyMs: { p50: quantile(latencies, 0.5), p95: quantile(latencies, 0.95) },
      totals: { ...this.totals },
      wins: [...this.wins]
        .map(([expert, count]) => ({ expert, count }))
        .sort((a, b) => b.count - a.count || (a.expert < b.expert ? -1 : 1)),
      costUsd: this.costUsd,
      dearestUsd: this.dearestUsd,
    };
    this.seconds.push(emptySecond());
    if (this.seconds.length > WINDOW_SECONDS) this.seconds.shift();
    return snapshot;
  }

  private addCost(event: eventsV1.RequestCompleted): void {
    const price = this.priceOf(event.expert);
    if (!price) return;
    const costOf = ({ input, output }: { input: number; output: number }) =>
      (event.inputTokens * input + event.outputTokens * output) / 1e6;
    const own = costOf(price);
    const others = event.candidates.flatMap(({ expert }) => this.priceOf(expert) ?? []).map(costOf);
    this.costUsd += own;
    this.dearestUsd += Math.max(own, ...others);
  }
}

function emptySecond(): Second {
  return { requests: 0, errors: 0, latencies: [] };
}

/** Nearest-rank quantile of sorted values; 0 for none. */
function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? 0;
}
