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
export {
  calibratedLosses,
  calibratedPredictions,
  intervalAround,
  type CalibratedCandidates,
  type LossCalibration,
  type LossInterval,
} from './calibrated-losses.js';
export {
  PROBABILITY_FLOOR,
  recalibrate,
  type BetaMap,
  type IsotonicMap,
  type Recalibration,
} from './recalibrate.js';
export { bettingPValue, hoeffdingBentkus, type BoundedSample } from './risk/p-values.js';
export {
  applyRule,
  bestSingle,
  checkTarget,
  controlRisk,
  controlRiskSteps,
  type ControlledRisk,
  type RiskAnchor,
  type RiskChoices,
  type RiskRows,
  type RiskRule,
  type RiskTarget,
} from './risk/control-risk.js';
export {
  certifySteps,
  heldRisk,
  holdRisk,
  riskPlan,
  stricterTarget,
  type CertifiedRule,
  type HeldRisk,
  type RiskPlan,
} from './risk/risk-plan.js';
export { riskTensors } from './risk/risk-tensors.js';
export { readFurtherParts, type FurtherParts, type OpenTensors } from './router-parts.js';
export { FairCache } from './fair-cache.js';
export { limitsOf } from './limits.js';
export { explore, type ExploredDecision } from './pickers/explore.js';
export { pick, pickSeed, type ExplorationPool, type Picked, type Picker } from './pickers/pick.js';
export {
  checkCorrectionSettings,
  correctionOf,
  decayTo,
  foldOutcome,
  isNegligible,
  type CorrectionSettings,
  type CorrectionState,
  type LossResidual,
} from './online/correct-loss.js';
export { lossRange, observedLoss, type LossUnit } from './online/observed-loss.js';
export {
  checkDriftSettings,
  driftEvidence,
  NO_DRIFT,
  watchOutcome,
  type DriftSettings,
  type DriftState,
  type PredictedAndObserved,
} from './online/watch-drift.js';
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
export { gatedFeatures, predictLosses, prototypeDistances, regionIds } from './predict-losses.js';
export type {
  AverageLossHeads,
  GatedLossHeads,
  LinearLossHeads,
  LossHeads,
  MlpLossHeads,
  NearestLossHeads,
  SingleLossHeads,
} from './loss-heads.js';
export { affine } from './affine.js';
export { projectedRows } from './nearest-losses.js';
export { PROMPT_FEATURES, promptFeatures } from './prompt-features.js';
export { embedGrams, embedTokens, gramRows, toLengthOne, type StaticTable } from './static-embedding.js';
export {
  FEATURE_KINDS,
  featureWidth,
  routerFeatures,
  type FeatureBlock,
  type FeatureInput,
  type FeatureKind,
  type FeatureScale,
  type FeatureSpec,
} from './router-features.js';
export {
  encoderFromTensors,
  encoderTensors,
  headsFromTensors,
  headTensors,
  type EncoderFacts,
  type HeadFacts,
  type NamedTensor,
  type ReadTensor,
} from './router-tensors.js';
export {
  addAnswer,
  answerColumn,
  answerModel,
  valueOfAnswer,
  type AnswerModel,
  type CascadeModel,
  type ServiceAnswer,
} from './cascade/answer-posterior.js';
export {
  decidingStage,
  regionOfStage,
  rowsForSecond,
  stageVerdict,
  withSecondLosses,
  type DecidingStage,
  type StageGate,
  type StageVerdict,
} from './stages/stages.js';
export type { SecondStageModel } from './stages/second-stage-tensors.js';
export { runCascade, type CascadeOutcome, type CascadeRule } from './cascade/run-cascade.js';
