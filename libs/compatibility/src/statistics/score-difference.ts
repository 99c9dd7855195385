import type { MeanInterval } from '../paired-bootstrap.js';

const Z_95 = 1.959963984540054;
const STEPS = 60;

/**
 * Score interval, 95 %, of the difference of accuracy, new less old (Tango 1998): the paired counterpart of Wilson’s, which is honest for few
 * items and few flips too. `onlyOld` of n items only the old version has right, `onlyNew` only the new one.
 * @throws RangeError without items
 */
export function scoreDifference(onlyOld: number, onlyNew: number, n: number, z = Z_95): MeanInterval {
  if (n === 0) throw new RangeError('Difference of accuracy: there are no items.');
  const mean = (onlyNew - onlyOld) / n;
  /** How far the seen difference is from a supposed one, in standard deviations under it. */
  const distance = (delta: number) => {
    const half = onlyOld + onlyNew + delta * (onlyNew - onlyOld - 2 * n);
    const onlyOldRate =
      (half + Math.sqrt(Math.max(0, half * half + 8 * n * onlyOld * delta * (1 - delta)))) / (4 * n);
    const variance = n * (2 * onlyOldRate + delta * (1 - delta));
    return variance <= 0 ? Infinity : Math.abs(onlyNew - onlyOld - n * delta) / Math.sqrt(variance);
  };
  const edge = (outside: number) => {
    let [out, inside] = [outside, mean];
    for (let step = 0; step < STEPS; step++) {
      const middle = (out + inside) / 2;
      if (distance(middle) > z) out = middle;
      else inside = middle;
    }
    return inside;
  };
  return { mean, low: mean === -1 ? -1 : edge(-1), high: mean === 1 ? 1 : edge(1) };
}
