import type { Usage } from '../../api/chat.js';
import type { ExpertRow, Prices } from '../../api/types.js';

/** What an answer cost, USD. */
export function costUsd(usage: Usage, prices: Prices): number {
  return (
    (usage.promptTokens * prices.inputUsdPerMtok + usage.completionTokens * prices.outputUsdPerMtok) / 1e6
  );
}

/** Prices of a version; undefined when it has none or is not known. */
export function pricesOf(
  experts: readonly ExpertRow[] | undefined,
  expert: string,
  version: string,
): Prices | undefined {
  return experts?.find(({ name }) => name === expert)?.versions.find((row) => row.version === version)
    ?.prices;
}

/** Dollars with as many digits as tell something: small sums keep two digits of their own. */
export function usdText(usd: number): string {
  if (usd === 0) return '$0';
  if (usd >= 1) return `$${usd.toLocaleString('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  return `$${usd.toLocaleString('en', { maximumSignificantDigits: 2, maximumFractionDigits: 12 })}`;
}

/** Milliseconds as people read them. */
export function durationText(milliseconds: number): string {
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  if (milliseconds < 1000) return `${milliseconds.toFixed(0)} ms`;
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
