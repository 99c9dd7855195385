import type { GraphBuilder, ValueName } from '@thalamus/onnx-graph';
import { requireNotNegative, requirePositive } from '../settings.js';
import type { HingeOptions } from './classification.js';
import { LossWriter, type LossOptions } from './loss-writer.js';

/**
 * Adds the mean squared error, mean (p - t)^2 over the elements of [rows, columns] in rows that count. Returns its value, a
 * scalar.
 */
export function writeMeanSquaredError(
  builder: GraphBuilder,
  predicted: ValueName,
  target: ValueName,
  options: LossOptions = {},
): ValueName {
  const w = new LossWriter(builder, options);
  const gap = w.op('Sub', [predicted, target]);
  return meanOverElements(w, w.op('Mul', [gap, gap]));
}

/** How Huber's loss is taken. */
export interface HuberOptions extends LossOptions {
  /** Errors above it count linearly. Default 1. */
  readonly delta?: number;
}

/**
 * Adds Huber's loss (Huber 1964) of e = p - t, [rows, columns]: the mean over the elements in rows that count of
 *
 *     e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2)
 *
 * Returns its value, a scalar.
 * @throws CONFIG_INVALID for a delta that is not above 0
 */
export function writeHuber(
  builder: GraphBuilder,
  predicted: ValueName,
  target: ValueName,
  options: HuberOptions = {},
): ValueName {
  const { delta = 1 } = options;
  requirePositive('delta', delta);
  const w = new LossWriter(builder, options);
  // With c = min(|e|, delta) both branches are c (|e| - c / 2).
  const size = w.op('Abs', [w.op('Sub', [predicted, target])]);
  const capped = w.op('Min', [size, w.scalar(delta)]);
  const rest = w.op('Sub', [size, w.op('Mul', [capped, w.scalar(0.5)])]);
  return meanOverElements(w, w.op('Mul', [capped, rest]));
}

/** How a ranking is taken. */
export interface RankingOptions extends HingeOptions {
  /** Pairs whose true values are no further apart do not count, in units of these. Default 0. */
  readonly leastGap?: number;
}

/**
 * Adds a pairwise margin ranking within each row: predictions p and true values t, [rows, items], as a router's predicted and true
 * losses of its experts. Over all pairs of a row with t_i - t_j > leastGap, the mean of
 *
 *     max(0, margin - (p_i - p_j))
 *
 * 0 with zero gradients when there is no such pair. Cost: rows items^2. Returns its value, a scalar.
 * @throws CONFIG_INVALID for a margin that is not above 0 or a gap below 0
 */
export function writePairwiseRanking(
  builder: GraphBuilder,
  predicted: ValueName,
  target: ValueName,
  options: RankingOptions = {},
): ValueName {
  const { margin = 1, leastGap = 0 } = options;
  requirePositive('margin', margin);
  requireNotNegative('leastGap', leastGap);
  const w = new LossWriter(builder, options);
  /** [rows, items, items]: element i less element j. */
  const differences = (values: ValueName) =>
    w.op('Sub', [w.op('Unsqueeze', [values, w.ints(2)]), w.op('Unsqueeze', [values, w.ints(1)])]);
  const isOrdered = w.op('Greater', [differences(target), w.scalar(leastGap)]);
  const missing = w.op('Relu', [w.op('Sub', [w.scalar(margin), differences(predicted)])]);
  const { mask } = options;
  const counts =
    mask === undefined ? isOrdered : w.op('And', [isOrdered, w.op('Unsqueeze', [mask, w.ints(1, 2)])]);
  return w.meanWhere(counts, missing);
}

/**
 * Adds the cosine distance of rows a and b, [rows, width]: the mean over rows that count of
 *
 *     1 - a b / (|a| |b|)
 *
 * A row of zeros has no direction: its distance is 1, its gradient 0. Returns its value, a scalar.
 */
export function writeCosineDistance(
  builder: GraphBuilder,
  a: ValueName,
  b: ValueName,
  options: LossOptions = {},
): ValueName {
  const w = new LossWriter(builder, options);
  const norm = (rows: ValueName) => w.op('ReduceL2', [rows, w.ints(-1)], { keepdims: 0 });
  const scale = w.op('Mul', [norm(a), norm(b)]);
  const hasDirection = w.op('Greater', [scale, w.scalar(0)]);
  const safe = w.op('Where', [hasDirection, scale, w.scalar(1)]);
  const cosine = w.where(hasDirection, w.op('Div', [w.sumLast(w.op('Mul', [a, b])), safe]));
  return w.meanOverRows(w.op('Sub', [w.scalar(1), cosine]));
}

function meanOverElements(w: LossWriter, elements: ValueName): ValueName {
  const counts = w.maskOver(elements);
  if (counts === undefined) return w.finish('ReduceMean', [elements], { keepdims: 0 });
  return w.meanWhere(counts, elements);
}
