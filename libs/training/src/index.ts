export {
  readCsv,
  readDataset,
  writeCsv,
  type DatasetOptions,
  type DatasetRow,
  type LabelledText,
} from './csv-dataset.js';
export { embedTexts, type BatchEncoder, type EmbeddedTexts, type EmbedOptions } from './embed-texts.js';
export { evaluationRows, probeBundle, type ProbeFacts } from './probe-bundle.js';
export { predictionFile } from './prediction-file.js';
export { classificationMetrics, type ClassificationMetrics } from './classification-metrics.js';
export { minimise, type MinimiseOptions, type Objective } from './minimise.js';
export {
  fitSoftmaxRegression,
  headLogProbabilities,
  type LabelledFeatures,
  type LinearHead,
  type SoftmaxRegressionOptions,
} from './softmax-regression.js';
export {
  normalised,
  rowUse,
  splitForTraining,
  type RowUse,
  type SplitOptions,
  type SplitRule,
  type TrainingSplit,
} from './split-rows.js';
export {
  evaluateHead,
  L2_GRID,
  labelled,
  trainProbe,
  type EmbeddedRows,
  type ProbeProgress,
  type TrainedProbe,
} from './train-probe.js';
export { fitBeta, fitIsotonic, type CalibrationPairs } from './calibration/fit-recalibration.js';
export {
  brierFigures,
  calibrationFigures,
  reliabilityBins,
  type BrierFigures,
  type CalibrationFigures,
  type ReliabilityBin,
} from './calibration/reliability.js';
export {
  meanWidth,
  scaledInterval,
  type RegionResiduals,
  type ScaledInterval,
} from './calibration/scaled-interval.js';
export { abstentionThreshold, residualInterval, type ResidualInterval } from './conformal.js';
export { bestCandidates, fitGatedLosses, type GatedLossOptions } from './fit-gated-losses.js';
export { fitLinearLosses, rowCount, type LossRows } from './fit-linear-losses.js';
export { fitMlpLosses, type MlpLossOptions } from './fit-mlp-losses.js';
export {
  encodeLossTable,
  labelLoss,
  lossScale,
  parseLossTable,
  type LossRow,
  type LossScale,
  type LossTable,
  type LossTableMeta,
} from './loss-table.js';
export {
  bestSingle,
  bootstrapMean,
  nearOptimal,
  routingOutcomes,
  type Figure,
  type RoutedPrompts,
  type RoutingOutcomes,
} from './routing-metrics.js';
export { sphericalKMeans } from './spherical-k-means.js';
export { readTextLines, type TextLine } from './data/text-lines.js';
export { trainingBatches, evaluationBatches, type BatchOptions } from './data/token-batches.js';
export {
  cutWindows,
  logUnigramFrequencies,
  maskTokens,
  maskVocabulary,
  type MaskedRow,
  type MaskOptions,
  type MaskVocabulary,
} from './data/mask-tokens.js';
export { mixSeed } from './data/mix-seed.js';
export type { TrainingEvent } from './loop/train-loop.js';
export { diskFault, writeWhole } from './loop/checkpoint-file.js';
export {
  HYPER_PARAMETERS,
  MASKED_LM_HYPER_PARAMETERS,
  type HyperParameters,
} from './methods/hyper-parameters.js';
export { openClassifier, type ClassifierTools, type OpenedClassifier } from './methods/open-classifier.js';
export { openTrainingBase, type BaseTools } from './methods/open-training-base.js';
export { requireLabels, splitTraining, type NamedRows } from './methods/split-training.js';
export { TRAINING_FILES } from './methods/training-files.js';
export type { ExpertRun, RunHooks, RunProgress } from './methods/expert-run.js';
export { trainExpert, type FinishedRun, type RunResult } from './methods/train-expert.js';
export type { GraphRuntime, GraphSession, TextTokens, TrainingBase } from './training-base.port.js';
export { maskedLmGraph, MASKED_LM_HEAD, readMaskedLmGraph } from './graphs/encoder-graph.js';
export { foldBranches, transposed } from './graphs/fold-branches.js';
export { lossCurve } from './loop/loss-curve.js';
export { readCheckpoint, writeCheckpoint } from './loop/checkpoint-file.js';
export { TrainingState } from './loop/training-state.js';
export type { LoopHooks, TrainingOutcome } from './loop/train-loop.js';
export type { Parameters } from './loop/adamw.js';
export { MaskedLmModel, type FixedMasks, type RowLoss } from './methods/masked-lm-model.js';
export {
  prepareMaskedLm,
  withMaskedLmHead,
  type MaskedLmRun,
  type PreparedMaskedLm,
} from './methods/train-masked-lm.js';
export { trainedWeights } from './methods/trained-weights.js';
export { classifierGraph, CLASSIFIER_HEAD, TRAINING_VALUES } from './graphs/encoder-graph.js';
export { GradientSession } from './graphs/gradient-session.js';
export { parametersOf } from './graphs/with-inputs.js';
export { adamWStep, globalNorm, initialState } from './loop/adamw.js';
export { parameterFeeds, tokenFeeds } from './methods/classifier-model.js';
export {
  readMaskedLm,
  withHead,
  type MaskedLmExpert,
  type MaskedLmHead,
} from './methods/masked-lm-bundle.js';
export {
  JUDGING_MASKS,
  MASKED_LOG_LOSS,
  trainMaskedLmExpert,
  type MaskedLmExpertRun,
  type MaskedLmResult,
  type Windows,
} from './methods/train-masked-lm-expert.js';
export { openMaskedLm, requireTokenizer, type OpenedMaskedLm } from './methods/open-masked-lm.js';
export { splitTexts, type NamedLines } from './methods/split-texts.js';
export {
  JUDGING_WINDOW_TOKENS,
  measureMaskedLm,
  requireMask,
  textWindows,
  type MaskedLmMeasure,
} from './methods/text-windows.js';
export { keptRun, resumableRun, type KeptRunHooks, type ResumableRun } from './methods/resumable-run.js';
export { trainingFiles } from './methods/training-files.js';
export { cutTextsNote } from './methods/training-notes.js';
export { importedBundle, type ImportFacts } from './methods/imported-bundle.js';
export type { UnwrittenBundle } from './methods/expert-bundle.js';
export { openTwin, twinLogProbabilities, type OpenedTwin } from './methods/twin-answers.js';
export {
  readRoutingTable,
  expertName,
  MIN_USABLE_ROWS,
  type RoutingRow,
  type RoutingTable,
  type TableModel,
} from './router/routing-table.js';
export { SPLIT_PARTS, type SplitPart, type TableSplitRule } from './router/table-split.js';
export { preparePrompts, ROUTER_ENCODERS, type RouterEncoder } from './router/prepare-prompts.js';
export {
  trainRouter,
  type RouterHooks,
  type RouterStage,
  type TrainedRouter,
} from './router/train-router.js';
export { routerBundle, type RouterFacts, type UnwrittenRouter } from './router/router-bundle.js';
export { firstPredictions, openedRouter, predictedBy, type OpenedRouter } from './router/opened-router.js';
export { choiceReport, nameOf, type ChoiceReport } from './router/choice-report.js';
export {
  evaluateRouter,
  requireEncoder,
  tryRouter,
  type EvaluatedRouter,
  type JudgedSplit,
} from './router/evaluate-router.js';
export {
  decidePrompts,
  type ComparedSplit,
  type DecidedPrompts,
  type RouterPair,
} from './router/decide-prompts.js';
export { evaluationReport, type ReportedTrial, type ReportFacts } from './router/report/evaluation-report.js';
export { mapRows, type PromptSpace } from './router/report/prompt-map.js';
export { reportRouter, withReport } from './router/report/report-router.js';
export { baselinePredictions } from './router/table-baselines.js';
export { riskResplits, type ResplitFigures, type ResplitTrial } from './router/risk-resplits.js';
export { LEARNERS, type LearnerFamily } from './router/learners.js';
export {
  MAX_PROMPTS_FILE_BYTES,
  MEASURED_TASKS,
  type MeasuredPrompt,
  type MeasuredTask,
} from './measuring/measured-prompts.js';
export {
  MAX_MASKS,
  runDigest,
  type MaskSettings,
  type MeasuredBundle,
  type TableExpert,
  type TableRun,
} from './measuring/table-run.js';
export { makeTableRun, type PromptFile } from './measuring/make-table-run.js';
export { joinParts, ownsChunk, type TablePart } from './measuring/table-parts.js';
export { PartialTable, type TableCell } from './measuring/partial-table.js';
export {
  measureTable,
  requireOneBase,
  type MeasuredTable,
  type MeasuringHooks,
} from './measuring/measure-table.js';
export {
  lossTableFile,
  type ExpertSummary,
  type LossTableFile,
  type TableFacts,
} from './measuring/loss-table-file.js';
export {
  cascadeModel,
  fitCascade,
  judgeCascade,
  tryCascades,
  type AnsweredRow,
  type FittedCascade,
  type TriedCascade,
} from './cascade/fit-cascade.js';
export { readServiceTable, type ServiceTable } from './cascade/service-table.js';
export {
  chosenColumn,
  extendedBy,
  extendHeads,
  type ChosenColumn,
  type ExtendedHeads,
  type ExtensionRows,
} from './router/extend-heads.js';
export {
  extendRouter,
  MIN_EXTENSION_ROWS,
  type ExtendedRouter,
  type RouterExtension,
} from './router/extend-router.js';
export { FEATURE_SETTINGS, featuresOf, fitFeatures } from './router/fitted-features.js';
export { wordsOf } from './router/prepare-prompts.js';
export { foldsOf, splitParts, splitRule } from './router/table-split.js';
export { lossMatrix, withGuesses } from './router/loss-matrix.js';
export { averageOf } from './router/learners.js';
export {
  REPAIR_ARM_NAMES,
  REPAIR_ARMS,
  REPAIR_HYPER_PARAMETERS,
  REPAIR_TEMPERATURE,
  type RepairArm,
  type RepairArmName,
} from './repair/repair-arms.js';
export type { VersionAnswers } from './repair/repair-loss.js';
export {
  prepareRepair,
  type AdapterStart,
  type PreparedRepair,
  type RepairRun,
  type TaughtTokens,
  type TrainedRepair,
} from './repair/train-repair.js';
export { requireRepairable, type ExpertVersion } from './repair/check-repairable.js';
export {
  judgeRepair,
  type HeldOutAnswers,
  type RepairCredit,
  type RepairJudgement,
  type RepairVerdict,
} from './repair/judge-repair.js';
export { repairExpert, type ExpertRepair, type FinishedRepair } from './repair/repair-expert.js';
export { repairedLicence, requireRepairRows } from './repair/repair-rows.js';
export type { RepairFacts } from './repair/repaired-bundle.js';
export {
  judgeReroute,
  rerouteFigures,
  type ReroutedItem,
  type RerouteCredit,
  type RerouteFigures,
  type RerouteJudgement,
  type RerouteVerdict,
} from './reroute/judge-reroute.js';
export { groupFolds, promptGroup } from './reroute/prompt-groups.js';
export { rerouteTable, type RerouteFacts, type RerouteLoss } from './reroute/reroute-table.js';
export {
  crossValidate,
  fitReroute,
  rerouteUpdate,
  sentBack,
  type FoldMargin,
  type Rerouted,
  type RerouteRun,
} from './reroute/reroute-update.js';
