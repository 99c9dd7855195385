import type { LiveSnapshot } from '../../api/types.js';
import { usdText } from '../playground/chat-facts.js';

interface Fact {
  readonly value: string;
  readonly note: string;
}

/** Share of requests that were answered; a router that says "none of them" has done its work. */
export function answeredText({ requests, errors, abstained }: LiveSnapshot['totals']): Fact {
  if (requests === 0) return { value: '–', note: 'no request yet' };
  const share = 100 * (1 - errors / requests);
  return { value: `${share.toFixed(1)} %`, note: `${errors} failed, ${abstained} abstained` };
}

/** What was saved against always asking the dearest candidate. */
export function savedText({ costUsd, dearestUsd }: Pick<LiveSnapshot, 'costUsd' | 'dearestUsd'>): Fact {
  if (dearestUsd === 0) return { value: '–', note: 'no priced expert was asked' };
  const saved = dearestUsd - costUsd;
  const share = (100 * saved) / dearestUsd;
  if (saved <= 0)
    return { value: usdText(0), note: `the dearest was asked every time, ${usdText(dearestUsd)}` };
  return {
    value: usdText(saved),
    note: `${share.toFixed(0)} % less than always asking the dearest, ${usdText(dearestUsd)}`,
  };
}

/** One second of the charts. */
export interface ChartSecond {
  /** Clock time of its end. */
  readonly at: string;
  readonly answered: number;
  readonly failed: number;
  /** Absent while nothing was answered: a gap and not a zero. */
  readonly p50: number | null;
  readonly p95: number | null;
}

/** Snapshots as the charts take them. */
export function chartSeconds(history: readonly LiveSnapshot[]): ChartSecond[] {
  return history.map(({ at, requestsPerSecond, errorsPerSecond, latencyMs }) => ({
    at: new Date(at).toLocaleTimeString('en-GB'),
    answered: requestsPerSecond - errorsPerSecond,
    failed: errorsPerSecond,
    p50: latencyMs.p50 === 0 ? null : latencyMs.p50,
    p95: latencyMs.p95 === 0 ? null : latencyMs.p95,
  }));
}
