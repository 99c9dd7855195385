import { GraphBuilder, type OnnxModel, type ValueName } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { checkParents, embeddingWidth, operatorSets } from './check-merge-input.js';
import { chooseParent, linear } from './choose-parent.js';
import { encodeTwice } from './encode-twice.js';
import type { MergedGraph, MergeInput } from './merge-method.js';
import {
  BASE_PREFIX,
  parentLogits,
  parentProbabilities,
  TWIN_VALUES,
  type TwinInputs,
} from './twin-values.js';
import { unionLabels } from './union-labels.js';

/** Logit of a label that the chosen parent does not have: its probability is exactly zero in float32. */
const ABSENT_LOGIT = -1e9;

/**
 * One graph of a base and the heads of experts over it, with a router inside. Experts may bring low-rank branches.
 *
 * Inputs: `input_ids`, `attention_mask` int64 [batch, sequence]; `task` int64 [batch]. Outputs: `router_weights` float32
 * [batch, parents], the softmax of the router on the embedding of the base without branches; `parent` int64 [batch], the one
 * of largest weight (the first of equals) unless `task` names one; `logits` and `scores` float32 [batch, labels] over the
 * union of the labels, those of the chosen head, with probability zero for labels that it does not have; `label` int64
 * [batch]; and each parent's own logits and probabilities. Every row of a batch is decided on its own.
 *
 * Heads of probes read the embedding of the base, those of low-rank parents the one under their own branches. It is computed
 * for the chosen parent only, in a second pass over the same weights; on rows that another parent answered, a low-rank
 * parent's own logits are -1e9 and its probabilities zero. A graph of probes alone has no second pass.
 *
 * Parents are sorted by name, so that their order does not matter. Weights of the base stay as they are stored.
 * @throws COMPOSITION_REFUSED for parents that do not fit the base, GRAPH_INVALID for a base of another shape
 */
export function buildTwinGraph({ base, parents }: MergeInput): MergedGraph {
  const sorted = [...parents].sort((a, b) => (a.name < b.name ? -1 : 1));
  checkParents(sorted, embeddingWidth(base, [TWIN_VALUES.inputIds, TWIN_VALUES.attentionMask]));
  const builder = new GraphBuilder();
  const inputs = inputsOf(builder);
  const isTwice = sorted.some(({ branches }) => branches);
  const twice = isTwice ? encodeTwice(builder, { base, parents: sorted }, inputs) : undefined;
  const plain = twice?.plain ?? encodeOnce(builder, base, inputs);
  const logits = sorted.map(({ name, head, branches }) =>
    branches && twice
      ? linear(builder, twice.branched, head, { prefix: `${name}/`, name: `${name}/if_chosen` })
      : linear(builder, plain, head, { prefix: `${name}/`, name: parentLogits(name) }),
  );
  const { weights, parent } = twice ?? chooseParent(builder, plain, sorted, inputs.task);
  const union = unionLabels(sorted.map(({ labels }) => labels));
  const merged = mergeLogits(builder, logits, parent, union);

  builder.output(weights, 'float32', ['batch', sorted.length]);
  builder.output(parent, 'int64', ['batch']);
  builder.output(merged, 'float32', ['batch', union.labels.length]);
  const scores = builder.node('Softmax', [merged], { name: TWIN_VALUES.scores, attributes: { axis: -1 } });
  builder.output(scores, 'float32', ['batch', union.labels.length]);
  const label = builder.node('ArgMax', [merged], {
    name: TWIN_VALUES.label,
    attributes: { axis: 1, keepdims: 0 },
  });
  builder.output(label, 'int64', ['batch']);
  sorted.forEach((it, index) => {
    const given = logits[index] as ValueName;
    const own = it.branches
      ? ifAnswered(builder, given, parent, index, it.name)
      : probabilitiesOf(builder, given, it.name);
    builder.output(own.logits, 'float32', ['batch', it.labels.length]);
    builder.output(own.probabilities, 'float32', ['batch', it.labels.length]);
  });
  const model = builder.build({ name: 'twin', ...operatorSets(base) });
  return { model, parents: sorted.map(({ name }) => name), labels: union.labels };
}

function inputsOf(builder: GraphBuilder): TwinInputs {
  const tokens = (name: string) => builder.input(name, 'int64', ['batch', 'sequence']);
  return {
    ids: tokens(TWIN_VALUES.inputIds),
    mask: tokens(TWIN_VALUES.attentionMask),
    task: builder.input(TWIN_VALUES.task, 'int64', ['batch']),
  };
}

function encodeOnce(builder: GraphBuilder, base: OnnxModel, { ids, mask }: TwinInputs): ValueName {
  const bindings = { [TWIN_VALUES.inputIds]: ids, [TWIN_VALUES.attentionMask]: mask };
  return builder.embed(base, BASE_PREFIX, bindings)['embedding'] as ValueName;
}

interface OwnAnswer {
  readonly logits: ValueName;
  readonly probabilities: ValueName;
}

function probabilitiesOf(builder: GraphBuilder, logits: ValueName, name: string): OwnAnswer {
  const probabilities = builder.node('Softmax', [logits], {
    name: parentProbabilities(name),
    attributes: { axis: -1 },
  });
  return { logits, probabilities };
}

/** What a low-rank parent says where it was chosen. A head read on the encoding of another would say nothing. */
function ifAnswered(
  builder: GraphBuilder,
  given: ValueName,
  parent: ValueName,
  index: number,
  name: string,
): OwnAnswer {
  const self = builder.constant(`${name}/index`, tensor('int64', [], BigInt64Array.of(BigInt(index))));
  const axis = builder.constant(`${name}/axis`, tensor('int64', [1], BigInt64Array.of(1n)));
  const answered = builder.node('Unsqueeze', [builder.node('Equal', [parent, self]), axis]);
  const where = (value: ValueName, otherwise: number, result: string) => {
    const fill = builder.constant(
      `${result}/otherwise`,
      tensor('float32', [], new Float32Array([otherwise])),
    );
    return builder.node('Where', [answered, value, fill], { name: result });
  };
  const softmax = builder.node('Softmax', [given], { attributes: { axis: -1 } });
  return {
    logits: where(given, ABSENT_LOGIT, parentLogits(name)),
    probabilities: where(softmax, 0, parentProbabilities(name)),
  };
}

/** Logits of the chosen head at their places in the union: each row gathers the columns of its parent. */
function mergeLogits(
  builder: GraphBuilder,
  logits: readonly ValueName[],
  parent: ValueName,
  { labels, positions }: ReturnType<typeof unionLabels>,
): ValueName {
  const all =
    logits.length === 1
      ? (logits[0] as ValueName)
      : builder.node('Concat', logits, { attributes: { axis: 1 } });
  const pads = builder.constant('pads', tensor('int64', [4], BigInt64Array.of(0n, 0n, 0n, 1n)));
  const fill = builder.constant('absent', tensor('float32', [], new Float32Array([ABSENT_LOGIT])));
  const padded = builder.node('Pad', [all, pads, fill]);
  const total = positions.reduce((sum, own) => sum + own.length, 0);
  const columns = new BigInt64Array(positions.length * labels.length).fill(BigInt(total));
  let column = 0;
  positions.forEach((own, row) => {
    for (const position of own) columns[row * labels.length + position] = BigInt(column++);
  });
  const table = builder.constant('columns', tensor('int64', [positions.length, labels.length], columns));
  const chosen = builder.node('Gather', [table, parent], { attributes: { axis: 0 } });
  return builder.node('GatherElements', [padded, chosen], {
    name: TWIN_VALUES.logits,
    attributes: { axis: 1 },
  });
}
