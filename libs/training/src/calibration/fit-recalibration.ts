import { ThalamusError } from '@thalamus/errors';
import { PROBABILITY_FLOOR, type BetaMap, type IsotonicMap } from '@thalamus/routing';
import { minimise } from '../minimise.js';

/** Pairs of rows that the heads were not fitted on, in one unit. */
export interface CalibrationPairs {
  readonly predicted: ArrayLike<number>;
  readonly measured: ArrayLike<number>;
}

/**
 * Isotonic regression by pooling adjacent violators (Ayer et al. 1955; Zadrozny and Elkan 2002): of all functions that never
 * fall, the one with the least squared error. Equal predictions are pooled first. Knots are the ends of the pooled blocks.
 * O(n log n). DATASET_INVALID without pairs, or with a value that is no number.
 */
export function fitIsotonic(pairs: CalibrationPairs): IsotonicMap {
  const order = orderOf(pairs);
  const { predicted, measured } = pairs;
  const blocks: Block[] = [];
  for (const at of order) {
    const input = predicted[at]!;
    const last = blocks.at(-1);
    if (last?.to === input) {
      last.sum += measured[at]!;
      last.count += 1;
    } else {
      settle(blocks);
      blocks.push({ from: input, to: input, sum: measured[at]!, count: 1 });
    }
  }
  settle(blocks);
  const inputs: number[] = [];
  const values: number[] = [];
  for (const { from, to, sum, count } of blocks) {
    for (const input of from === to ? [from] : [from, to]) {
      inputs.push(input);
      values.push(sum / count);
    }
  }
  return { kind: 'isotonic', inputs, values };
}

interface Block {
  from: number;
  to: number;
  sum: number;
  count: number;
}

/** Pools the last blocks until their means rise. */
function settle(blocks: Block[]): void {
  for (;;) {
    const [before, last] = blocks.slice(-2);
    if (!before || !last || before.sum * last.count < last.sum * before.count) return;
    blocks.pop();
    before.to = last.to;
    before.sum += last.sum;
    before.count += last.count;
  }
}

/**
 * Beta calibration by maximum likelihood, for measured values from 0 to 1 (partial credit counts as its share). A slope that
 * would be negative is held at 0, so that the order of predictions stays. Deterministic. DATASET_INVALID for other values.
 */
export function fitBeta(pairs: CalibrationPairs): BetaMap {
  const order = orderOf(pairs);
  const wrong = order.find((at) => !(pairs.measured[at]! >= 0 && pairs.measured[at]! <= 1));
  if (wrong !== undefined)
    throw refused(`row ${wrong} measures ${pairs.measured[wrong]}, and beta calibration takes 0 to 1`);
  const rows = order.map((at): readonly [number, number, number] => {
    const p = Math.min(1 - PROBABILITY_FLOOR, Math.max(PROBABILITY_FLOOR, pairs.predicted[at]!));
    return [Math.log(p), -Math.log1p(-p), pairs.measured[at]!];
  });
  for (const held of [[], [0], [1], [0, 1]]) {
    const [a = 0, b = 0, c = 0] = mostLikely(rows, held);
    if (a >= 0 && b >= 0) return { kind: 'beta', a, b, c };
  }
  throw refused('no beta calibration fits them');
}

/** Slopes and offset; those in `held` are 0. A little weight decay keeps separable rows finite. */
function mostLikely(
  rows: readonly (readonly [number, number, number])[],
  held: readonly number[],
): Float64Array {
  const decay = 1e-6;
  const point = Float64Array.of(1, 1, 0);
  for (const at of held) point[at] = 0;
  minimise(
    (parameters, gradient) => {
      const [a = 0, b = 0, c = 0] = parameters;
      let value = decay * ((a - 1) ** 2 + (b - 1) ** 2 + c * c);
      gradient.set([2 * decay * (a - 1), 2 * decay * (b - 1), 2 * decay * c]);
      for (const [logOne, logOther, y] of rows) {
        const logit = a * logOne + b * logOther + c;
        value += (Math.max(logit, 0) - logit * y + Math.log1p(Math.exp(-Math.abs(logit)))) / rows.length;
        const excess = (1 / (1 + Math.exp(-logit)) - y) / rows.length;
        gradient[0]! += excess * logOne;
        gradient[1]! += excess * logOther;
        gradient[2]! += excess;
      }
      for (const at of held) gradient[at] = 0;
      return value;
    },
    point,
    { maxIterations: 500, tolerance: 1e-9 },
  );
  return point;
}

/** Row numbers by predicted value. */
function orderOf({ predicted, measured }: CalibrationPairs): number[] {
  const n = predicted.length;
  if (n === 0) throw refused('there are none');
  if (measured.length !== n) throw refused(`${n} predictions have ${measured.length} measurements`);
  const order = Array.from({ length: n }, (_, at) => at);
  const broken = order.find((at) => !Number.isFinite(predicted[at]) || !Number.isFinite(measured[at]));
  if (broken !== undefined) throw refused(`row ${broken} holds a value that is no number`);
  return order.sort((x, y) => predicted[x]! - predicted[y]! || x - y);
}

function refused(reason: string): ThalamusError {
  return new ThalamusError(
    'DATASET_INVALID',
    `Calibration pairs: ${reason}. Give measured rows that the router was not fitted on.`,
  );
}
