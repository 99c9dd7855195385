export type { Candidate, RouteConstraints, RoutePolicy } from './candidate.js';
export {
  costOf,
  defaultFlags,
  UNKNOWN_COST,
  weightsOf,
  type CostScale,
  type CostTerm,
  type Properties,
} from './costs.js';
export {
  decide,
  type DecisionInput,
  type DecisionResult,
  type FilterRejection,
  type Prediction,
  type RankedCandidate,
  type RejectedCandidate,
} from './decide.js';
export { FILTERS, type Filter } from './filters/filters.js';
export {
  FLAG_LEVELS,
  FLAG_NAMES,
  isFlagName,
  mergeFlags,
  parseFlags,
  parseModelName,
  printFlags,
  stripFlagTags,
  type Flag,
  type FlagLevel,
  type FlagName,
  type TaggedPrompt,
} from './flags.js';
export {
  gatedFeatures,
  predictLosses,
  prototypeDistances,
  regionIds,
  type GatedLossHeads,
  type LinearLossHeads,
  type LossHeads,
  type MlpLossHeads,
} from './predict-losses.js';
