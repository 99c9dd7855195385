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
  TEACHER_RULES,
  writeCompatibility,
  type CompatibilityOptions,
  type TeacherRule,
  type VersionTeachers,
} from './losses/compatibility.js';
export {
  writeCosineDistance,
  writeHuber,
  writeMeanSquaredError,
  writePairwiseRanking,
  type HuberOptions,
  type RankingOptions,
} from './losses/regression.js';
export { adamWStep, type AdamWStepSettings } from './optimisers/adamw-step.js';
export { sgdStep, type SgdStepSettings } from './optimisers/sgd-step.js';
export { nextName, STEP_VALUES, stepTensors, type SteppedParameter } from './optimisers/step-writer.js';
export { trainingStep } from './optimisers/training-step.js';
