export { readCsv, type LabelledText } from './csv-dataset.js';
export { classificationMetrics, type ClassificationMetrics } from './classification-metrics.js';
export { minimise, type MinimiseOptions, type Objective } from './minimise.js';
export {
  fitSoftmaxRegression,
  headLogProbabilities,
  type LabelledFeatures,
  type LinearHead,
  type SoftmaxRegressionOptions,
} from './softmax-regression.js';
export { rowUse, type RowUse, type SplitRule } from './split-rows.js';
export {
  evaluateHead,
  L2_GRID,
  labelled,
  trainProbe,
  type EmbeddedRows,
  type TrainedProbe,
} from './train-probe.js';
