import { ThalamusError } from '@thalamus/errors';
import type { HeadedParent } from '@thalamus/model-merge';
import { encodeModel, type BertConfig, type Mixture, type Weights } from '@thalamus/onnx-graph';
import { asFloat32, decodeFloat16, encodeFloat16, softmax, tensor } from '@thalamus/tensor';
import {
  classifierGraph,
  TRAINING_VALUES,
  tokenFeeds,
  transposed,
  type GraphRuntime,
} from '@thalamus/training';
import type { ComposedAnswer } from './composed-graph.js';

/** Largest difference of a probability that passes, for weights that are stored as float32. */
export const PARITY_TOLERANCE = 1e-4;

/** What the weights of a text come to: the rule that the graph holds. */
export interface MixingRule {
  readonly top?: number | undefined;
  readonly groups?: Float32Array | undefined;
}

/** Weights of the mixture that a graph uses for a text, from the router's weights, or for a named task. */
export function mixedWeights(
  routed: ArrayLike<number>,
  { top, groups }: MixingRule,
  task?: number,
): Float64Array {
  const count = routed.length;
  if (task !== undefined && task >= 0)
    return Float64Array.from({ length: count }, (_, k) => (k === task ? 1 : 0));
  const own = groups ? nearest(routed, groups) : Float64Array.from(routed);
  if (top === undefined || top >= count) return own;
  const order = [...own.keys()].sort((a, b) => own[b]! - own[a]! || a - b);
  const kept = order.slice(0, top);
  const share = own.reduce((sum, w) => sum + w, 0) / kept.reduce((sum, k) => sum + own[k]!, 0);
  return own.map((w, k) => (kept.includes(k) ? w * share : 0));
}

function nearest(routed: ArrayLike<number>, groups: Float32Array): Float64Array {
  const count = routed.length;
  let best = 0;
  let least = Infinity;
  for (let group = 0; group < groups.length / count; group++) {
    let distance = 0;
    for (let k = 0; k < count; k++) distance += (routed[k]! - groups[group * count + k]!) ** 2;
    if (distance < least) [least, best] = [distance, group];
  }
  return Float64Array.from(groups.subarray(best * count, (best + 1) * count));
}

/** The weights that a text is run through: shared + sum of w_t times the stored (float16) change of parent t. */
export function materialise(shared: Weights, mixture: Mixture, w: ArrayLike<number>): Weights {
  const result = new Map(shared);
  const stored = (values: Float32Array) => decodeFloat16(encodeFloat16(values));
  for (const [name, changes] of mixture.matrices) {
    const { shape, data } = shared.get(name)!;
    const [rows = 0, columns = 0] = shape;
    const sum = data.slice();
    const row = new Float64Array(columns);
    const factors = changes.map(({ rank, left, right }) => ({
      rank,
      left: stored(left),
      right: stored(right),
    }));
    for (let r = 0; r < rows; r++) {
      row.fill(0);
      factors.forEach(({ rank, left, right }, parent) => {
        const weight = w[parent]!;
        if (weight === 0) return;
        for (let k = 0; k < rank; k++) {
          const factor = weight * left[r * rank + k]!;
          if (factor !== 0) for (let c = 0; c < columns; c++) row[c]! += factor * right[k * columns + c]!;
        }
      });
      for (let c = 0; c < columns; c++) sum[r * columns + c]! += row[c]!;
    }
    result.set(name, tensor('float32', shape, sum));
  }
  for (const [name, { shared: own, changes }] of mixture.vectors) {
    const sum = own.map((value, i) => {
      let total = value;
      for (let k = 0; k < w.length; k++) total += w[k]! * changes[k * own.length + i]!;
      return total;
    });
    result.set(name, tensor('float32', [own.length], sum));
  }
  return result;
}

/** A row that is checked. */
export interface ParityRow {
  readonly ids: readonly number[];
  /** Undefined: the router chose. */
  readonly task: number | undefined;
  readonly answer: ComposedAnswer;
}

/** What parity is checked with. */
export interface ParityParts {
  readonly runtime: GraphRuntime;
  readonly threads: number;
  readonly config: BertConfig;
  readonly shared: Weights;
  readonly mixture: Mixture;
  readonly rule: MixingRule;
  /** In the order of the graph. */
  readonly parents: readonly HeadedParent[];
  /** Labels of the graph. */
  readonly labels: readonly string[];
}

/**
 * Builds the merged weights of every row, runs them as a plain classifier, and gives the largest difference of a probability
 * between that and what the graph said (the exact form of papers on per-input merging against its graph with branches).
 */
export async function largestParityGap(rows: readonly ParityRow[], parts: ParityParts): Promise<number> {
  let largest = 0;
  for (const { ids, task, answer } of rows) {
    const w = mixedWeights(answer.weights, parts.rule, task);
    const parent = parts.parents[answer.parent]!;
    const width = parts.config.hiddenSize;
    const graph = classifierGraph(parts.config, materialise(parts.shared, parts.mixture, w), {
      weights: transposed(parent.head.weights, parent.labels.length, width),
      bias: parent.head.bias,
    });
    const session = await parts.runtime.load({ bytes: encodeModel(graph) }, { threads: parts.threads });
    try {
      const outputs = await session.run(tokenFeeds([ids], [0]), { outputs: [TRAINING_VALUES.logits] });
      const truth = softmax(asFloat32(outputs[TRAINING_VALUES.logits], TRAINING_VALUES.logits).data);
      const got = softmax(parent.labels.map((label) => answer.logits[parts.labels.indexOf(label)] ?? NaN));
      truth.forEach((value, k) => {
        const gap = Math.abs(value - got[k]!);
        // Written so that a result that is not a number is the largest gap.
        largest = gap <= largest ? largest : Number.isNaN(gap) ? Infinity : gap;
      });
    } finally {
      await session.release();
    }
  }
  return largest;
}

/** @throws COMPOSITION_REFUSED when a gap is too large */
export function requireParity(gap: number): void {
  if (gap < PARITY_TOLERANCE) return;
  throw new ThalamusError(
    'COMPOSITION_REFUSED',
    `The composed graph does not do what its merged weights do: a probability is off by ${gap.toPrecision(3)}, and ${PARITY_TOLERANCE} is allowed. Nothing was kept.`,
  );
}
