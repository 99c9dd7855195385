import type { GraphBuilder, ValueName } from '@thalamus/onnx-graph';

/** Names of what a twin graph takes and gives; shapes are in `buildTwinGraph`. */
export const TWIN_VALUES = {
  inputIds: 'input_ids',
  attentionMask: 'attention_mask',
  /** Index of the parent that is to answer; negative: the router chooses. */
  task: 'task',
  /** Places that are scored, int64 [masked], row times sequence plus column; of composed masked language models. */
  positions: 'masked_positions',
  routerWeights: 'router_weights',
  /** Index of the parent that answered. */
  parent: 'parent',
  logits: 'logits',
  scores: 'scores',
  label: 'label',
  /** Whether no parent covers the text; of graphs that mix weights. */
  abstain: 'abstain',
} as const;

/** Output with a parent's own logits: of a probe whoever was chosen, of a low-rank parent where it was chosen, else -1e9. */
export function parentLogits(parent: string): string {
  return `${parent}/logits`;
}

/** Output with a parent's own probabilities: of a probe whoever was chosen, of a low-rank parent where it was chosen, else 0. */
export function parentProbabilities(parent: string): string {
  return `${parent}/probabilities`;
}

/** What a twin graph is given: `ids` and `mask` int64 [batch, sequence], `task` int64 [batch]. */
export interface TwinInputs {
  readonly ids: ValueName;
  readonly mask: ValueName;
  readonly task: ValueName;
}

/** Prefix of the base inside the graph; names of experts never begin with an underscore. */
export const BASE_PREFIX = '_base/';

/** Declares the inputs of a composed graph. */
export function twinInputs(builder: GraphBuilder): TwinInputs {
  const tokens = (name: string) => builder.input(name, 'int64', ['batch', 'sequence']);
  return {
    ids: tokens(TWIN_VALUES.inputIds),
    mask: tokens(TWIN_VALUES.attentionMask),
    task: builder.input(TWIN_VALUES.task, 'int64', ['batch']),
  };
}
