import { ThalamusError } from '@thalamus/errors';
import { isFlagName, type Flag, type FlagName } from './flags.js';

/** Where a raw property costs 0 and where 1; absolute, so that a new expert moves no old decision. */
export interface CostScale {
  readonly transform: 'linear' | 'log10';
  readonly min: number;
  readonly max: number;
}

/** Raw properties of an expert by flag: FLOPs per token, days, milliseconds, USD per million tokens, 1 - trust, ... */
export type Properties = Readonly<Partial<Record<FlagName, number>>>;

/** One cost of one candidate: weighed, or with weight 0 shown for comparison. */
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
  const from = transformed(scale.min, scale);
  const to = transformed(scale.max, scale);
  if (!(to > from)) return 0;
  if (value === undefined) return UNKNOWN_COST;
  return Math.min(1, Math.max(0, (transformed(value, scale) - from) / (to - from)));
}

function transformed(value: number, { transform }: CostScale): number {
  return transform === 'log10' ? Math.log10(Math.max(value, Number.MIN_VALUE)) : value;
}

/** A tenant's default weights as flags, for mergeFlags; those that the router model cannot weigh are left out. */
export function defaultFlags(
  defaults: Readonly<Record<string, number>>,
  scales: Readonly<Record<string, CostScale>>,
): Flag[] {
  return Object.entries(defaults).flatMap(([name, value]): Flag[] =>
    isFlagName(name) && Object.hasOwn(scales, name) ? [{ name, kind: 'weight', value }] : [],
  );
}

/**
 * Weights in nats by flag. A wish that the router model has no scale or no level for cannot be kept, so it is refused.
 * @throws FLAG_INVALID
 */
export function weightsOf(
  flags: readonly Flag[],
  levels: Readonly<Record<string, number>>,
  scales: Readonly<Record<string, CostScale>>,
): ReadonlyMap<FlagName, number> {
  const weights = new Map<FlagName, number>();
  for (const flag of flags) {
    if (flag.kind !== 'weight' && flag.kind !== 'level') continue;
    if (!Object.hasOwn(scales, flag.name)) {
      const known = Object.keys(scales).sort().join(', ') || 'nothing';
      throw unfit(flag.name, `the router model has no scale for it; it weighs ${known}`);
    }
    const weight = flag.kind === 'weight' ? flag.value : levels[flag.level];
    if (weight === undefined) {
      const known = Object.keys(levels).join(', ') || 'none';
      throw unfit(flag.name, `the router model knows no such level; it knows ${known}`);
    }
    weights.set(flag.name, weight);
  }
  return weights;
}

function unfit(name: FlagName, reason: string): ThalamusError {
  return new ThalamusError('FLAG_INVALID', `Flag "${name}": ${reason}.`, {
    violations: [{ field: `flags.${name}`, description: reason }],
  });
}
