export {
  compareVersions,
  type Comparison,
  type FlippedItem,
  type SliceComparison,
  type Verdict,
} from './compare-versions.js';
export { wilson, type Rate } from './intervals.js';
export { itemsNeeded, mcnemarExact, mcnemarMidP, type WantedPower } from './mcnemar.js';
export { holm } from './multiplicity.js';
export { pairedBootstrap, type BootstrapOptions, type MeanInterval } from './paired-bootstrap.js';
export { parsePredictions, type Prediction } from './predictions.js';
export { scoreChanges, type ScoreChanges } from './score-changes.js';
export { PairMonitor, type PairReading } from './sequential/pair-monitor.js';
export { RateMonitor, type RateLimit, type RateReading } from './sequential/rate-monitor.js';
export { rateSequence, type RateBounds } from './sequential/rate-sequence.js';
