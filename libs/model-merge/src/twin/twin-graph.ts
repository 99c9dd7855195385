import {
  addMixture,
  GraphBuilder,
  graphOf,
  type Mixture,
  type OnnxModel,
  type ValueName,
} from '@thalamus/onnx-graph';
import { writeHeads } from '../heads/merge-heads.js';
import type { HeadedParent } from '../heads/linear.js';
import { BASE_PREFIX, TWIN_VALUES, twinInputs, type TwinInputs } from '../heads/twin-values.js';
import type { MergedGraph } from '../merge-method.js';
import { operatorSets } from '../switch/check-merge-input.js';
import { writeAbstain, writeParent } from './choice.js';
import { bindMixture, writeWeights } from './mixture-weights.js';
import { writeRouterLogits, writeTokenLogits } from './router-graph.js';
import type { TokenRouter } from './token-router.js';

/** Names of the shared expert's nodes where they are run again under the weights of the texts. */
const MIXED_PREFIX = '_mixed/';

/** What a Twin graph is made of. */
export interface TwinGraphInput {
  /** The shared expert: an encoder that `buildBertEncoder` made, in any storage. */
  readonly encoder: OnnxModel;
  /** What parents add to it; absent for a static merge, which all texts are run through alike. */
  readonly mixture?: Mixture | undefined;
  /** Most parents whose weights a text mixes; undefined, or no fewer than there are: all of them. */
  readonly top?: number | undefined;
  /** float32 [groups, parents]: a text takes the nearest of these weights; undefined: its own. */
  readonly groups?: Float32Array | undefined;
  /** A router with a vector needs the shared expert's encoding first: the encoder is run twice. */
  readonly router: TokenRouter;
  /** A text whose largest weight is below this is covered by no parent. */
  readonly abstainBelow: number;
  /**
   * Whether every head reads the encoding of every text, whoever its weights are of, and each parent's own answer says what came of
   * it: what the protocol with the true head given is measured by. Else a parent answers only where it was chosen.
   */
  readonly readsAllHeads?: boolean;
  /** Sorted by name, in the order of the mixture and the router. */
  readonly parents: readonly HeadedParent[];
}

/**
 * Twin-Merging as one graph (arXiv 2406.15479, section 3.2): shared weights once, an exclusive vector of each parent beside them,
 * mixed for every text by weights that a router inside gives. Inputs and outputs are those of `TWIN_VALUES`: `task` names the
 * parent whose weights and head are to be used, or leaves both to the router; the head is that of the largest weight. `abstain`
 * bool [batch] says that no parent covers the text, by the router's weights even where a task is named. A `task` that no parent has
 * is an error of ONNX Runtime (`INFERENCE_FAILED`), which the whole batch fails with.
 * @throws COMPOSITION_REFUSED for a mixture that does not fit the encoder
 */
export function buildTwinGraph(input: TwinGraphInput): MergedGraph {
  const { encoder, mixture, parents, readsAllHeads = false } = input;
  const b = new GraphBuilder();
  const inputs = twinInputs(b);
  const { routed, embedding } = writeEncoding(b, input, inputs);
  const parent = writeParent(b, routed, inputs.task);
  const heads = parents.map((it) => ({
    ...it,
    encoding: embedding,
    isIfChosen: mixture !== undefined && !readsAllHeads,
  }));
  const labels = writeHeads(b, heads, () => ({ weights: routed, parent }));
  b.output(writeAbstain(b, routed, input.abstainBelow), 'bool', ['batch']);
  const model = b.build({ name: 'twin', ...operatorSets(encoder) });
  return { model, parents: parents.map(({ name }) => name), labels };
}

/**
 * What the heads read, float32 [batch, width], and the router's weights, float32 [batch, parents]. A router with a vector reads the
 * shared expert's own encoding: its nodes stand in the graph twice then, its weights once.
 */
function writeEncoding(b: GraphBuilder, input: TwinGraphInput, inputs: TwinInputs) {
  const { encoder, mixture, router, groups, parents } = input;
  const tokens = writeTokenLogits(b, router, inputs);
  const bindings = { [TWIN_VALUES.inputIds]: inputs.ids, [TWIN_VALUES.attentionMask]: inputs.mask };
  const encode = (model: OnnxModel, prefix: string, more = {}) =>
    b.embed(model, prefix, { ...bindings, ...more })['embedding'] as ValueName;
  const plain = mixture && !router.vector ? undefined : encode(encoder, BASE_PREFIX);
  const logits = writeRouterLogits(b, router, tokens, plain);
  const routed = b.node('Softmax', [logits], { name: TWIN_VALUES.routerWeights, attributes: { axis: -1 } });
  if (!mixture) return { routed, embedding: plain as ValueName };
  // All parents of a text are all there are: nothing to choose among, and nothing to gather.
  const top = input.top !== undefined && input.top < parents.length ? input.top : undefined;
  const rule = { count: parents.length, top, groups };
  const model = addMixture(encoder, mixture, { top });
  const weights = bindMixture(b, rule, writeWeights(b, rule, routed, inputs.task));
  if (plain === undefined) return { routed, embedding: encode(model, BASE_PREFIX, weights) };
  return {
    routed,
    embedding: encode(model, MIXED_PREFIX, { ...sharedConstants(encoder, model), ...weights }),
  };
}

/** Constants of the shared expert that its mixture has unchanged, where they stand already. */
function sharedConstants(encoder: OnnxModel, mixed: OnnxModel): Record<string, ValueName> {
  const own = new Set(graphOf(encoder).initializer);
  return Object.fromEntries(
    graphOf(mixed)
      .initializer.filter((constant) => own.has(constant))
      .map(({ name }) => [name, `${BASE_PREFIX}${name}`]),
  );
}
