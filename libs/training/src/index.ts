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
  lossCalibrationError,
  nearOptimal,
  routingOutcomes,
  type Figure,
  type RoutedPrompts,
  type RoutingOutcomes,
} from './routing-metrics.js';
export { sphericalKMeans } from './spherical-k-means.js';
