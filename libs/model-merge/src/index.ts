export type {
  LayerFactors,
  LinearLayer,
  LowRankBranches,
  MergedGraph,
  MergeInput,
  MergeParent,
} from './merge-method.js';
export { parameterFacts, type CompositionMethod, type ParameterFacts } from './composition-method.js';
export { COMPOSITION_METHODS, compositionMethod, WEIGHTED_KINDS } from './composition-methods.js';
export { switchParameters } from './switch/switch-method.js';
export { rankRuleOf, TWIN, twinFaults, twinParameters, type TwinParameters } from './twin/twin-method.js';
export { buildSwitchGraph } from './switch/switch-graph.js';
export { buildTwinGraph, type TwinGraphInput } from './twin/twin-graph.js';
export { buildMaskedTwinGraph, type MaskedParent, type MaskedTwinInput } from './twin/masked-twin-graph.js';
export {
  decomposeExclusiveVectors,
  requireSameTensors,
  type DecomposeOptions,
  type ExclusiveVectors,
  type ParentWeights,
} from './twin/exclusive-vectors.js';
export { chooseRanks, FACTOR_BYTES, maxRankOf, type RankRule, type Spectrum } from './twin/choose-ranks.js';
export { pairBucket, routerLogits, softmaxInPlace, type TokenRouter } from './twin/token-router.js';
export { fitTokenRouter, type FitTokenRouter } from './twin/fit-token-router.js';
export {
  labelByConfidence,
  standardSureness,
  type ConfidentLabels,
  type ParentAnswers,
} from './twin/label-by-confidence.js';
export { scoreRouter, type RouterRow, type RouterScore } from './twin/score-router.js';
export type { HeadedParent } from './heads/linear.js';
export { parentLogits, parentProbabilities, TWIN_VALUES } from './heads/twin-values.js';
export { unionLabels, type UnionLabels } from './heads/union-labels.js';
export {
  findObstacles,
  type BaseFacts,
  type Obstacle,
  type ObstacleKind,
  type ParentFacts,
} from './find-obstacles.js';
export { combinedLicence, derivedLicence, isShareAlike } from './licences.js';
export type { ParentTensor, StaticMethod, StaticParameters, TensorGroup } from './static/static-method.js';
export { parseStaticParameters, type GivenParameters } from './static/static-parameters.js';
export { startStaticMerge, type ParametersOfTensor, type StaticMerge } from './static/static-merge.js';
export { INFORMATION_DEFAULTS, informationParameters } from './static/information-parameters.js';
export { STATIC_METHODS, staticMethod } from './static/static-methods.js';
export { parseRecipeDocument } from './recipe/parse-recipe-document.js';
export type {
  ModelReference,
  RecipeDataType,
  RecipeDocument,
  RecipeModel,
  Setting,
  SettingRule,
  Settings,
} from './recipe/recipe-document.js';
export { recipeParameters } from './recipe/recipe-parameters.js';
