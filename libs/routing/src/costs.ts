import type { Flag, FlagName } from './flags.js';

/** Where a raw property costs 0 and where 1; absolute, so that a new expert moves no old decision. */
export interface CostScale {
  readonly transform: 'linear' | 'log10';
  readonly min: number;
  readonly max: number;
}

/** Raw properties of an expert by flag: FLOPs per token, days, milliseconds, USD per million tokens, 1 - trust, ... */
export type Properties = Readonly<Partial<Record<FlagName, number>>>;

/** One cost that was weighed. */
export interface CostTerm {
  readonly name: FlagName;
  /** Cost between 0 and 1. */
  readonly value: number;
  /** Lambda in nats. */
  readonly weight: number;
}

/** Cost that stands for a property nobody has measured: neither the best nor the worst. */
export const UNKNOWN_COST = 0.5;

/** Cost of a raw value on its scale, 0 to 1; a scale without range costs 0, an unknown value UNKNOWN_COST. */
export function costOf(value: number | undefined, scale: CostScale): number {
  const [from, to, at] =
    scale.transform === 'log10'
      ? [Math.log10(scale.min), Math.log10(scale.max), Math.log10(Math.max(value ?? 1, Number.MIN_VALUE))]
      : [scale.min, scale.max, value ?? 0];
  if (!(to > from)) return 0;
  if (value === undefined) return UNKNOWN_COST;
  return Math.min(1, Math.max(0, (at - from) / (to - from)));
}

/** Weights in nats by flag, from weights, levels and defaults; flags come first. */
export function weightsOf(
  flags: readonly Flag[],
  levels: Readonly<Record<string, number>>,
  defaults: Readonly<Record<string, number>>,
): ReadonlyMap<string, number> {
  const weights = new Map(Object.entries(defaults));
  for (const flag of flags) {
    if (flag.kind === 'weight') weights.set(flag.name, flag.value);
    else if (flag.kind === 'level') weights.set(flag.name, levels[flag.level] ?? 0);
  }
  return weights;
}
