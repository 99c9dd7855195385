export {
  parseMergeParameters,
  type LayerFactors,
  type LinearLayer,
  type LowRankBranches,
  type MergedGraph,
  type MergeInput,
  type MergeMethod,
  type MergeParent,
  type MergeParameter,
  type MergeParameters,
} from './merge-method.js';
export { MERGE_METHODS, mergeMethod } from './merge-methods.js';
export { TWIN_METHOD, TWIN_PARAMETERS } from './methods/twin.js';
export { buildTwinGraph } from './twin-graph.js';
export { parentLogits, parentProbabilities, TWIN_VALUES } from './twin-values.js';
export { unionLabels, type UnionLabels } from './union-labels.js';
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
