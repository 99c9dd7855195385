import type { MixedHead } from '@thalamus/onnx-graph';
import { encodeModel, type BertConfig, type Mixture, type Weights } from '@thalamus/onnx-graph';
import { decodeFloat16, encodeFloat16, softmax } from '@thalamus/tensor';
import {
  MASKED_LM_HEAD,
  MaskedLmModel,
  maskedLmGraph,
  withHead,
  type GraphRuntime,
  type MaskedRow,
} from '@thalamus/training';
import { materialise, mixedWeights, type MixingRule } from '../check-parity.js';
import type { MaskedAnswer } from './composed-masked-lm.js';

/** A row that is checked. */
export interface MaskedParityRow {
  readonly row: MaskedRow;
  /** Undefined: the router chose. */
  readonly task: number | undefined;
  readonly answer: MaskedAnswer;
}

/** What parity is checked with. */
export interface MaskedParityParts {
  readonly runtime: GraphRuntime;
  readonly threads: number;
  readonly config: BertConfig;
  readonly shared: Weights;
  readonly mixture: Mixture;
  readonly rule: MixingRule;
  /** In the order of the graph. */
  readonly heads: readonly MixedHead[];
}

/**
 * Builds the merged weights of every row, encoder and head, runs them as a plain masked language model, and gives the largest
 * difference of a probability between that and what the graph said.
 */
export async function largestMaskedGap(
  rows: readonly MaskedParityRow[],
  parts: MaskedParityParts,
): Promise<number> {
  let largest = 0;
  for (const { row, task, answer } of rows) {
    const w = mixedWeights(answer.weights, parts.rule, task);
    const weights = withHead(materialise(parts.shared, parts.mixture, w), materialiseHead(parts.heads, w));
    const graph = maskedLmGraph(parts.config, weights);
    const session = await parts.runtime.load({ bytes: encodeModel(graph) }, { threads: parts.threads });
    try {
      const { data, shape } = await MaskedLmModel.of(session).logits([row]);
      const [, size = 0] = shape;
      answer.logits.forEach((logits, place) => {
        const truth = softmax(data.subarray(place * size, (place + 1) * size));
        softmax(logits).forEach((value, word) => {
          const gap = Math.abs(value - truth[word]!);
          // Written so that a result that is not a number is the largest gap.
          largest = gap <= largest ? largest : Number.isNaN(gap) ? Infinity : gap;
        });
      });
    } finally {
      await session.release();
    }
  }
  return largest;
}

/** The head that a text is run through: the sum of w_t times the stored (float16) head of parent t. */
export function materialiseHead(
  heads: readonly MixedHead[],
  w: ArrayLike<number>,
): ReadonlyMap<string, Float32Array> {
  const parts = Object.keys(MASKED_LM_HEAD) as (keyof MixedHead)[];
  return new Map(
    parts.map((part) => {
      const stored = heads.map((head) => decodeFloat16(encodeFloat16(head[part])));
      const mixed = Float32Array.from(stored[0] ?? [], (_, at) =>
        stored.reduce((sum, values, parent) => sum + w[parent]! * values[at]!, 0),
      );
      return [MASKED_LM_HEAD[part], mixed];
    }),
  );
}
