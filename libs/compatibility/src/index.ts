export { comparePairs, type Comparison } from './compare-pairs.js';
export { compareVersions } from './compare-versions.js';
export type { FlipCounts, SliceComparison, Verdict } from './figures.js';
export { FileComparison, type FileComparisonOptions, type JudgeOptions } from './file-comparison.js';
export { wilson, type Rate } from './intervals.js';
export { itemsNeeded, mcnemarExact, mcnemarMidP, type WantedPower } from './mcnemar.js';
export { holm } from './multiplicity.js';
export { pairedBootstrap, type BootstrapOptions, type MeanInterval } from './paired-bootstrap.js';
export {
  pairAnswers,
  type AnsweredPrompt,
  type JudgedAnswer,
  type PredictionText,
} from './pairs/answered-prompts.js';
export { DIMENSIONS, parseDimensions, type Dimension } from './pairs/dimensions.js';
export type { FlippedItem } from './pairs/flip-list.js';
export { parsePredictions, type Prediction } from './predictions.js';
export { MAX_PROBE_BYTES, MAX_PROBES, parseProbes, probesIn, type Probe } from './probes/parse-probes.js';
export type { Power } from './power.js';
export { relativeCut, type RelativeCut } from './relative-cut.js';
export { scoreChanges, type ScoreChanges } from './score-changes.js';
export { PairMonitor, type PairReading } from './sequential/pair-monitor.js';
export { RateMonitor, type RateLimit, type RateReading } from './sequential/rate-monitor.js';
export { rateSequence, type RateBounds } from './sequential/rate-sequence.js';
export { compareContracts } from './contract/compare-contracts.js';
export type {
  ContractDifference,
  ContractField,
  ModelContract,
  Severity,
  TensorContract,
  TokenizerContract,
} from './contract/model-contract.js';
export { settleContract, type ContractSettlement } from './contract/settle-contract.js';
export { DEFAULT_GATE_TEXT, defaultGate } from './gate/default-gate.js';
export { evaluateGate, settleByApprovals, type GateResult } from './gate/evaluate-gate.js';
export type { GateDocument, GateRule } from './gate/gate-document.js';
export type { GateEvidence, MeasuredFigure } from './gate/gate-evidence.js';
export { GateWatch, WATCHED, type WatchedMeasure } from './gate/gate-watch.js';
export { MEASURES, type FigureName, type Measure } from './gate/measures.js';
export { parseGate } from './gate/parse-gate.js';
export type { Finding, GateStatus, RuleResult } from './gate/rule-result.js';
export type { ChoiceFigures, ChoiceOptions } from './router/choice-figures.js';
export { compareChoices, type ChoiceComparison } from './router/compare-choices.js';
export { DEFAULT_ROUTER_GATE_TEXT, defaultRouterGate } from './router/default-router-gate.js';
export { judgeChoices, type JudgedChoices } from './router/judge-choices.js';
export type { RoutedPrompt } from './router/routed-prompt.js';
export { parseRouterReport, type ReportedFigures, type RouterReport } from './router/router-report.js';
export { routerReport, type ReportFacts } from './router/write-report.js';
