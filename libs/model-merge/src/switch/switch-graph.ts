import { GraphBuilder, type OnnxModel, type ValueName } from '@thalamus/onnx-graph';
import { checkParents, embeddingWidth, operatorSets } from './check-merge-input.js';
import { chooseParent } from './choose-parent.js';
import { encodeTwice } from './encode-twice.js';
import type { MergedGraph, MergeInput } from '../merge-method.js';
import { writeHeads } from '../heads/merge-heads.js';
import { BASE_PREFIX, TWIN_VALUES, twinInputs, type TwinInputs } from '../heads/twin-values.js';

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
export function buildSwitchGraph({ base, parents }: MergeInput): MergedGraph {
  const sorted = [...parents].sort((a, b) => (a.name < b.name ? -1 : 1));
  checkParents(sorted, embeddingWidth(base, [TWIN_VALUES.inputIds, TWIN_VALUES.attentionMask]));
  const builder = new GraphBuilder();
  const inputs = twinInputs(builder);
  const isTwice = sorted.some(({ branches }) => branches);
  const twice = isTwice ? encodeTwice(builder, { base, parents: sorted }, inputs) : undefined;
  const plain = twice?.plain ?? encodeOnce(builder, base, inputs);
  const heads = sorted.map((it) => {
    const isIfChosen = twice !== undefined && it.branches !== undefined;
    return { ...it, isIfChosen, encoding: isIfChosen ? twice.branched : plain };
  });
  const labels = writeHeads(builder, heads, () => twice ?? chooseParent(builder, plain, sorted, inputs.task));
  const model = builder.build({ name: 'twin', ...operatorSets(base) });
  return { model, parents: sorted.map(({ name }) => name), labels };
}

function encodeOnce(builder: GraphBuilder, base: OnnxModel, { ids, mask }: TwinInputs): ValueName {
  const bindings = { [TWIN_VALUES.inputIds]: ids, [TWIN_VALUES.attentionMask]: mask };
  return builder.embed(base, BASE_PREFIX, bindings)['embedding'] as ValueName;
}
