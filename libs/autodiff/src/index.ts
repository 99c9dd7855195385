export {
  differentiate,
  DIFFERENTIABLE_OPERATORS,
  gradientName,
  type DifferentiateOptions,
} from './differentiate.js';
export type { FloatType } from './float-types.js';
export type { LossOptions } from './losses/loss-writer.js';
export {
  writeCrossEntropy,
  writeDivergence,
  writeHinge,
  type CrossEntropyOptions,
  type DivergenceOptions,
  type HingeOptions,
} from './losses/classification.js';
export {
  writeCosineDistance,
  writeHuber,
  writeMeanSquaredError,
  writePairwiseRanking,
  type HuberOptions,
  type RankingOptions,
} from './losses/regression.js';
