export {
  compareVersions,
  type Comparison,
  type FlippedItem,
  type SliceComparison,
  type Verdict,
} from './compare-versions.js';
export { mcnemarExact, wilson, type Rate } from './intervals.js';
export { parsePredictions, type Prediction } from './predictions.js';
