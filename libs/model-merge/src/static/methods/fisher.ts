import { z } from 'zod';
import { defineStaticMethod, type ModelPass, type TensorGroup } from '../static-method.js';
import { finiteSchema } from '../static-parameters.js';

const BLOCK = 4096;

/** th_j = sum_t c_t F_t,j th_t,j / sum_t c_t F_t,j: the mode of a product of Gaussians with diagonal precisions. */
export const FISHER_METHOD = defineStaticMethod({
  name: 'fisher',
  reference:
    'Fisher-weighted averaging, arXiv 2111.09832, equation 3; floor 1e-6 and division of c_t by the L2 norm of F_t as the authors’ code, its floor on every parent (favor_target_model off), so that none is favoured',
  needsBase: false,
  needsInformation: true,
  minParents: 1,
  maxParents: 64,
  isOrderFree: true,
  modelWide: 'with normalize: true, for the L2 norm of each parent’s information over all tensors; one pass',
  shared: z.strictObject({
    normalize: z.boolean('must be true or false').default(true),
    // Zero information everywhere would divide by zero.
    floor: finiteSchema.refine((value) => value > 0, 'must be above 0').default(1e-6),
  }),
  perParent: z.strictObject({
    weight: finiteSchema.refine((value) => value > 0, 'must be above 0').default(1),
  }),
  bind({ shared: { normalize, floor }, parents }) {
    const weights = parents.map(({ weight }) => weight);
    if (!normalize) return { merge: (group, out) => average(group, weights, floor, out) };
    const statistics = new InformationNorms(parents.length);
    return {
      statistics,
      merge: (group, out) =>
        average(
          group,
          weights.map((weight, index) => weight / statistics.norm(index)),
          floor,
          out,
        ),
    };
  },
});

/** L2 norms of the information of each parent over the whole model. */
class InformationNorms implements ModelPass {
  private readonly squares: Float64Array;

  constructor(parents: number) {
    this.squares = new Float64Array(parents);
  }

  observe({ parents }: TensorGroup): void {
    parents.forEach(({ information }, index) => {
      let sum = 0;
      for (let i = 0; i < information!.length; i++) sum += information![i]! * information![i]!;
      this.squares[index]! += sum;
    });
  }

  endPass(): boolean {
    return true;
  }

  /** 1 where there is no information at all: the floor alone decides then. */
  norm(index: number): number {
    return Math.sqrt(this.squares[index]!) || 1;
  }
}

function average(
  { parents }: TensorGroup,
  coefficients: readonly number[],
  floor: number,
  out: Float32Array,
): void {
  const upper = new Float64Array(BLOCK);
  const lower = new Float64Array(BLOCK);
  for (let start = 0; start < out.length; start += BLOCK) {
    const length = Math.min(BLOCK, out.length - start);
    upper.fill(0, 0, length);
    lower.fill(0, 0, length);
    for (let index = 0; index < parents.length; index++) {
      const { data, information } = parents[index]!;
      const coefficient = coefficients[index]!;
      for (let j = 0; j < length; j++) {
        const precision = coefficient * Math.max(information![start + j]!, floor);
        upper[j]! += precision * data[start + j]!;
        lower[j]! += precision;
      }
    }
    for (let j = 0; j < length; j++) out[start + j] = upper[j]! / lower[j]!;
  }
}
