import { z } from 'zod';
import { BLOCK } from '../magnitude-rank.js';
import { PcbStatistics } from '../pcb-statistics.js';
import { defineStaticMethod, type TensorGroup } from '../static-method.js';
import { finiteSchema, shareSchema } from '../static-parameters.js';

/**
 * th = th0 + lambda * sum_t w_t tau_t beta_t / max(sum_t beta_t, 1e-12), tau clamped at its tails, beta = how much of a
 * parameter's competition is won: exp(T minmax(|tau_t|)^2) * tanh(tau_t sum_k tau_k), all but the largest share dropped, then
 * min-max. Every minimum, maximum and quantile is of the whole model.
 */
export const PCB_METHOD = defineStaticMethod({
  name: 'pcb',
  reference:
    'PCB-Merging, arXiv 2410.02396, section 3.2; exp, tanh, tails of 0.01 % and ratio 0.1 as the authors’ script pcb-merging.py, which differs from the paper’s softmax',
  needsBase: true,
  needsInformation: false,
  minParents: 1,
  maxParents: 64,
  isOrderFree: true,
  modelWide: 'always, for tails, min-max and the drop threshold over all tensors; four passes',
  shared: z.strictObject({
    lambda: finiteSchema.default(1),
    density: shareSchema.refine((value) => value > 0, 'must be above 0').default(0.1),
    tail: shareSchema.refine((value) => value < 0.5, 'must be below 0.5').default(0.0001),
  }),
  perParent: z.strictObject({ weight: finiteSchema.default(1) }),
  bind({ shared: { lambda, density, tail }, parents }) {
    const statistics = new PcbStatistics(parents.length, density, tail);
    const weights = parents.map(({ weight }) => weight);
    return {
      statistics,
      merge: (group, out) => {
        if (lambda === 0) out.set(group.base!);
        else balance(statistics, group, { weights, lambda }, out);
      },
    };
  },
});

const SMALLEST_DIVISOR = 1e-12;

function balance(
  statistics: PcbStatistics,
  group: TensorGroup,
  { weights, lambda }: { weights: readonly number[]; lambda: number },
  out: Float32Array,
): void {
  const base = group.base!;
  const upper = new Float64Array(BLOCK);
  const lower = new Float64Array(BLOCK);
  for (let start = 0; start < out.length; start += BLOCK) {
    const length = statistics.fill(group, start);
    upper.fill(0, 0, length);
    lower.fill(0, 0, length);
    for (let index = 0; index < weights.length; index++) {
      const { threshold, range } = statistics.competition(index);
      // All alike: nobody wins, as in a min-max of equal numbers.
      if (range === 0) continue;
      const offset = index * BLOCK;
      for (let j = 0; j < length; j++) {
        const share = Math.max(0, statistics.won[offset + j]! - threshold) / range;
        upper[j]! += weights[index]! * share * statistics.clamped[offset + j]!;
        lower[j]! += share;
      }
    }
    for (let j = 0; j < length; j++) {
      const change = (lambda * upper[j]!) / Math.max(lower[j]!, SMALLEST_DIVISOR);
      out[start + j] = change === 0 ? base[start + j]! : base[start + j]! + change;
    }
  }
}
