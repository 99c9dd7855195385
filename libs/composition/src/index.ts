export { openParent, type OpenedParent } from './open-parent.js';
export { mergeWeights, type MergeHooks, type StaticRecipe } from './shared-expert.js';
export {
  measureInformation,
  type Information,
  type InformationRun,
  type InformationSettings,
} from './information/measure-information.js';
export { measureParents } from './information/measure-parents.js';
export {
  fitRouter,
  ROUTER_DEFAULTS,
  type FittedRouter,
  type RouterParts,
  type RouterSettings,
  type TaskTexts,
} from './fit-router.js';
export { ComposedGraph, OPEN_TASK, type ComposedAnswer } from './composed-graph.js';
export {
  largestParityGap,
  materialise,
  mixedWeights,
  PARITY_TOLERANCE,
  requireParity,
  type MixingRule,
  type ParityParts,
  type ParityRow,
} from './check-parity.js';
export type { CompositionTask, DataFile, MadeComposition, TaskParent } from './composition-task.js';
export { makeComposition } from './make-composition.js';
export { figuresOf, worstLoss } from './figures.js';
export { STAGES, type OnProgress, type Progress, type Stage } from './progress.js';
export {
  checkSettings,
  sharedRecipe,
  staticRecipe,
  storageOf,
  switchSettings,
  twinSettings,
} from './recipe-settings.js';
export {
  normalizedLoss,
  normalizedOf,
  type CompositionQuality,
  type ParentQuality,
  type QualityUnit,
} from './quality.js';
export {
  largestMaskedGap,
  materialiseHead,
  type MaskedParityParts,
  type MaskedParityRow,
} from './masked/check-masked-parity.js';
export { ComposedMaskedLm, type MaskedAnswer, type MaskedScore } from './masked/composed-masked-lm.js';
export { evaluateMaskedComposition, type JudgedDomainTask } from './masked/evaluate-masked.js';
export {
  canonicalRecipe,
  checkRecipe,
  expertNameOf,
  invalidRecipe,
  isExpertName,
  isParentVersion,
  oneValue,
  readRecipe,
  readRecipeDocument,
  recipeDigest,
  type PinnedParent,
  type Recipe,
  type RecipeWishes,
  type SayFault,
} from './plan/recipe.js';
export { baseFacts, parentFacts, refuseObstacles, standsOn } from './plan/facts.js';
export { requireParametersFor } from './plan/task-parameters.js';
export { estimateComposition, type CompositionEstimate } from './plan/estimate.js';
export { probeQuality, type ProbeTask } from './probe/probe-quality.js';
export {
  pairedDifference,
  qualityEstimate,
  taskEstimate,
  wilson,
  type ProbedRow,
  type QualityEstimate,
  type TaskEstimate,
} from './probe/quality-estimate.js';
export {
  ProcessCompositionMaker,
  type ProcessCompositionMakerOptions,
} from './child/process-composition-maker.js';
export {
  evaluateComposition,
  type CompositionEvaluation,
  type EvaluatedTask,
  type JudgedTask,
} from './evaluate-composition.js';
export { openProducts, type RuntimeProducts } from './multiply-in-runtime.js';
