import { wilson, type Rate } from './intervals.js';
import { itemsNeeded } from './mcnemar.js';

/** Difference of accuracy that a comparison should see: two points. */
const DIFFERENCE = 0.02;
const MOST_ITEMS = 2 ** 40;

/** What a comparison of so many items can see. */
export interface Power {
  /** Difference of accuracy that is asked for, 0 to 1. */
  readonly difference: number;
  /** Chance of a false alarm. */
  readonly level: number;
  /** Chance of seeing it. */
  readonly power: number;
  /** Items that are needed for that at the share of flips that was seen. */
  readonly itemsNeeded: number;
  readonly hasEnough: boolean;
  /** Items from which the interval of the negative flip rate would not hold the budget, were the rate to stay; absent when it is the budget itself. */
  readonly itemsToDecide?: number;
}

/** How many items a comparison needs, from what `n` items showed. */
export function powerOf(n: number, negative: Rate, positive: Rate, budget: number): Power {
  const discordance = Math.min(1, Math.max(DIFFERENCE, negative.value + positive.value));
  const needed = itemsNeeded({ difference: DIFFERENCE, discordance });
  const toDecide = itemsToDecide(negative.value, budget);
  return {
    difference: DIFFERENCE,
    level: 0.05,
    power: 0.8,
    itemsNeeded: needed,
    hasEnough: n >= needed,
    ...(toDecide === undefined ? {} : { itemsToDecide: toDecide }),
  };
}

/** Smallest number, within 1 %, at which a rate is told from the budget. */
function itemsToDecide(rate: number, budget: number): number | undefined {
  if (rate === budget) return undefined;
  const tells = (n: number) => {
    const { low, high } = wilson(rate * n, n);
    return high <= budget || low > budget;
  };
  let many = 1;
  while (!tells(many)) {
    many *= 2;
    if (many > MOST_ITEMS) return undefined;
  }
  let few = many / 2;
  while (many - few > Math.max(1, many / 100)) {
    const middle = Math.floor((few + many) / 2);
    if (tells(middle)) many = middle;
    else few = middle;
  }
  return Math.ceil(many);
}
