import { z } from 'zod';
import { MagnitudeRank } from '../magnitude-rank.js';
import { mergeTaskVectors, taskVectorScratch } from '../merge-task-vectors.js';
import { ModelTrim } from '../model-trim.js';
import {
  dropAll,
  keepAll,
  keepBand,
  keepBandOfRows,
  keepFrom,
  keepRandom,
  middleBand,
  topBand,
  type Rescale,
  type Sparsifier,
} from '../sparsifiers.js';
import { defineStaticMethod, type BoundMerge, type StaticMethod } from '../static-method.js';
import { finiteSchema, requiredWeight, seedSchema, shareSchema } from '../static-parameters.js';

const flag = (value: boolean) => z.boolean('must be true or false').default(value);

/** true is mergekit's rescaling, which restores the L1 norm of each tensor; `expectation` is the paper's 1 / density. */
const rescaleSchema = (value: boolean) =>
  z
    .union([z.boolean(), z.enum(['l1', 'expectation'])], 'must be true, false, "l1" or "expectation"')
    .default(value)
    .transform((given): Rescale => (given === true ? 'l1' : given === false ? 'none' : given));

/** Parameters of every method of the family. */
const common = (normalize: boolean, rescale: boolean) => ({
  lambda: finiteSchema.default(1),
  normalize: flag(normalize),
  rescale: rescaleSchema(rescale),
  /** Of mergekit: how it stores masks. Here masks take no memory, so that it changes nothing. */
  int8_mask: flag(false),
});

const weightAndDensity = { weight: requiredWeight, density: shareSchema.default(1) };

/** What varies in the family, besides schemas. */
interface Family {
  readonly consensus: 'sum' | 'sign';
  readonly shared: { lambda: number; normalize: boolean; rescale: Rescale };
  readonly parents: readonly { weight: number; density: number }[];
  readonly sparsifierOf: (index: number) => Sparsifier;
}

function bindFamily({ consensus, shared, parents, sparsifierOf }: Family): BoundMerge {
  const { lambda, normalize, rescale } = shared;
  const scratch = taskVectorScratch(parents.length);
  const rule = () => ({
    vectors: parents.map(({ weight, density }, index) => ({
      weight,
      density,
      sparsifier: density >= 1 ? keepAll : density <= 0 ? dropAll : sparsifierOf(index),
    })),
    consensus,
    rescale,
    normalize,
    lambda,
  });
  let fixed: ReturnType<typeof rule> | undefined;
  return {
    merge: (group, out) => {
      // Not before the first tensor: thresholds of the whole model are known only then.
      fixed ??= rule();
      mergeTaskVectors(fixed, group, scratch, out);
    },
  };
}

const always = {
  needsBase: true,
  needsInformation: false,
  minParents: 1,
  maxParents: 64,
  isOrderFree: true,
} as const;

/** th = th0 + lambda * sum_t w_t tau_t. */
export const TASK_ARITHMETIC_METHOD = defineStaticMethod({
  ...always,
  name: 'task_arithmetic',
  reference:
    'Task Arithmetic, arXiv 2212.04089, section 2; parameters and defaults as mergekit 0.1.5 (weights have no default)',
  modelWide: 'never',
  shared: z.strictObject({ ...common(false, false) }),
  perParent: z.strictObject(weightAndDensity),
  // mergekit reads a density here too and ignores it.
  bind: ({ shared, parents }) =>
    bindFamily({
      consensus: 'sum',
      shared,
      parents: parents.map(({ weight }) => ({ weight, density: 1 })),
      sparsifierOf: () => keepAll,
    }),
});

/** Trim, elect signs, mean of what agrees. */
export const TIES_METHOD = defineStaticMethod({
  ...always,
  name: 'ties',
  reference:
    'TIES-Merging, arXiv 2306.01708, section 3, algorithm 1; defaults as mergekit 0.1.5. The paper keeps density 0.2 of the whole model (trim: model)',
  modelWide: 'with trim: model, for the threshold of each task vector over all tensors; two passes',
  shared: z.strictObject({
    ...common(true, false),
    trim: z.enum(['tensor', 'model'], 'must be "tensor" or "model"').default('tensor'),
  }),
  perParent: z.strictObject(weightAndDensity),
  bind({ shared, parents }) {
    if (shared.trim === 'tensor') {
      const rank = new MagnitudeRank();
      return bindFamily({
        consensus: 'sign',
        shared,
        parents,
        sparsifierOf: (index) => keepBand(topBand(parents[index]!.density), rank),
      });
    }
    const statistics = new ModelTrim(parents.map(({ density }) => density));
    const bound = bindFamily({
      consensus: 'sign',
      shared,
      parents,
      sparsifierOf: (index) => keepFrom(statistics.thresholds[index]!),
    });
    return { ...bound, statistics };
  },
});

function defineDare(name: string, consensus: 'sum' | 'sign'): StaticMethod {
  return defineStaticMethod({
    ...always,
    name,
    reference:
      'DARE, arXiv 2311.03099, section 3.2: density = 1 - p; rescale: expectation is the paper’s 1 / (1 - p), true restores the L1 norm and is mergekit 0.1.5’s default',
    modelWide: 'never',
    shared: z.strictObject({ ...common(false, true), seed: seedSchema.default(0) }),
    perParent: z.strictObject(weightAndDensity),
    bind: ({ shared, parents }) =>
      bindFamily({
        consensus,
        shared,
        parents,
        sparsifierOf: (index) => keepRandom(parents[index]!.density, shared.seed),
      }),
  });
}

/** Random drop and rescale, then the weighted sum. */
export const DARE_LINEAR_METHOD = defineDare('dare_linear', 'sum');
/** Random drop and rescale, then sign election and the sum of what agrees. */
export const DARE_TIES_METHOD = defineDare('dare_ties', 'sign');

function defineBreadcrumbs(name: string, consensus: 'sum' | 'sign'): StaticMethod {
  return defineStaticMethod({
    ...always,
    name,
    reference:
      'Model Breadcrumbs, arXiv 2312.06795, section 3; density is beta, gamma the share of outliers; defaults as mergekit 0.1.5. mask: row is the authors’ code, along the last axis',
    modelWide: 'never',
    shared: z.strictObject({
      ...common(false, false),
      mask: z.enum(['tensor', 'row'], 'must be "tensor" or "row"').default('tensor'),
    }),
    perParent: z.strictObject({ ...weightAndDensity, gamma: shareSchema.default(0.01) }),
    bind({ shared, parents }) {
      const rank = new MagnitudeRank();
      const sparsifierOf = (index: number) => {
        const { density, gamma } = parents[index]!;
        const band = middleBand(density, gamma);
        return shared.mask === 'row' ? keepBandOfRows(band) : keepBand(band, rank);
      };
      return bindFamily({ consensus, shared, parents, sparsifierOf });
    },
  });
}

/** Both tails masked, then the weighted sum. */
export const BREADCRUMBS_METHOD = defineBreadcrumbs('breadcrumbs', 'sum');
/** Both tails masked, then sign election and the sum of what agrees. */
export const BREADCRUMBS_TIES_METHOD = defineBreadcrumbs('breadcrumbs_ties', 'sign');
