import type { RouterManifest } from '@thalamus/bundle';
import { costOf, type Properties } from '@thalamus/routing';
import type { TableModel } from './routing-table.js';

/** Scales that every router model of the command line has: absolute, so that a new expert moves no old decision. */
const SCALES: RouterManifest['costScales'] = {
  size: { unit: 'flopsPerToken', transform: 'log10', min: 1e6, max: 1e12 },
  recency: { unit: 'days', transform: 'linear', min: 0, max: 1095 },
  latency: { unit: 'milliseconds', transform: 'log10', min: 1, max: 60_000 },
  cost: { unit: 'usdPerMillionTokens', transform: 'linear', min: 0, max: 10 },
  security: { unit: 'distrust', transform: 'linear', min: 0, max: 1 },
};

/** FLOPs of one token for each parameter of a model that reads all of them. */
const FLOPS_PER_PARAMETER = 2;

/** The scales for the models of a table: prices from 0 to the dearest of them, where they are known. */
export function costScalesOf(models: readonly TableModel[]): RouterManifest['costScales'] {
  const dearest = Math.max(0, ...models.map(({ price }) => price ?? 0));
  return dearest > 0 ? { ...SCALES, cost: { ...SCALES['cost']!, max: dearest } } : SCALES;
}

/** Raw properties of a model, as the table states them. */
export function propertiesOf({ price, parameters, flopsPerToken }: TableModel): Properties {
  const size = flopsPerToken ?? (parameters === undefined ? undefined : FLOPS_PER_PARAMETER * parameters);
  return {
    ...(price === undefined ? {} : { cost: price }),
    ...(size === undefined ? {} : { size }),
  };
}

/**
 * Cost of each candidate between 0 and 1 for choosing a learner: its price where all are known, else its size; where neither is,
 * what is better on average is taken to be dearer.
 */
export function choiceCosts(
  properties: readonly Properties[],
  scales: RouterManifest['costScales'],
  meanLosses: Float64Array,
): Float64Array {
  for (const name of ['cost', 'size'] as const)
    if (properties.every((item) => item[name] !== undefined))
      return Float64Array.from(properties, (item) => costOf(item[name], scales[name]!));
  const [least, most] = [Math.min(...meanLosses), Math.max(...meanLosses)];
  return meanLosses.map((loss) => (most > least ? (most - loss) / (most - least) : 0));
}
