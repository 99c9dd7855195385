import { createRandom } from '@thalamus/tensor';
import type { MeanInterval } from '../paired-bootstrap.js';
import { drawBinomial } from './draw-binomial.js';

const RESAMPLES = 2000;
const SEED = 20_240_709;

/**
 * Percentile interval, 95 %, of the difference of accuracy, new less old, by the paired bootstrap: what `pairedBootstrap` draws item by
 * item is drawn here in numbers, for a resample of pairs depends only on how many of them flipped each way. Cost does not grow with n.
 * `onlyOld` of n items only the old version has right, `onlyNew` only the new one. Deterministic for a seed.
 * @throws RangeError without items
 */
export function bootstrapAccuracy(onlyOld: number, onlyNew: number, n: number, seed = SEED): MeanInterval {
  if (n === 0) throw new RangeError('Bootstrap of accuracy: there are no items to draw from.');
  const mean = (onlyNew - onlyOld) / n;
  const flipped = onlyOld + onlyNew;
  const random = createRandom(seed);
  const differences = Float64Array.from({ length: RESAMPLES }, () => {
    const drawn = drawBinomial(random, n, flipped / n);
    return (2 * drawBinomial(random, drawn, flipped === 0 ? 0 : onlyNew / flipped) - drawn) / n;
  }).sort();
  return { mean, low: differences[RESAMPLES * 0.025]!, high: differences[RESAMPLES * 0.975]! };
}
