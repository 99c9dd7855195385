import { ThalamusError } from '@thalamus/errors';
import { z } from 'zod';
import { defineStaticMethod, type TensorGroup } from '../static-method.js';
import { requiredWeight } from '../static-parameters.js';

/** out = sum_t w_t th_t, divided by sum_t w_t when normalised. The base is a parent like any other, if it is named. */
export const LINEAR_METHOD = defineStaticMethod({
  name: 'linear',
  reference:
    'Model soups, arXiv 2203.05482, equation 1 (uniform soup); parameters and defaults as mergekit 0.1.5 `linear`',
  needsBase: false,
  needsInformation: false,
  minParents: 1,
  maxParents: 64,
  isOrderFree: true,
  modelWide: 'never',
  shared: z.strictObject({ normalize: z.boolean('must be true or false').default(true) }),
  perParent: z.strictObject({ weight: requiredWeight }),
  bind({ shared: { normalize }, parents }) {
    const total = parents.reduce((sum, { weight }) => sum + weight, 0);
    if (normalize && Math.abs(total) < SMALLEST_TOTAL)
      throw new ThalamusError(
        'REQUEST_INVALID',
        `The weights of linear sum to ${total}, which nothing can be divided by; change them, or set normalize to false.`,
        { violations: [{ field: 'parents', description: 'weights sum to zero' }] },
      );
    const weights = parents.map(({ weight }) => (normalize ? weight / total : weight));
    return { merge: (group, out) => weightedSum(group, weights, out) };
  },
});

const BLOCK = 4096;
/** Below it a sum of weights divides nothing. */
const SMALLEST_TOTAL = 1e-8;

/** Sums in float64, block by block. */
function weightedSum({ parents }: TensorGroup, weights: readonly number[], out: Float32Array): void {
  const sum = new Float64Array(BLOCK);
  for (let start = 0; start < out.length; start += BLOCK) {
    const length = Math.min(BLOCK, out.length - start);
    sum.fill(0, 0, length);
    parents.forEach(({ data }, index) => {
      const weight = weights[index]!;
      for (let j = 0; j < length; j++) sum[j]! += weight * data[start + j]!;
    });
    for (let j = 0; j < length; j++) out[start + j] = sum[j]!;
  }
}
