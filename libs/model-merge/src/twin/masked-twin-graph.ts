import { ThalamusError } from '@thalamus/errors';
import {
  addMixture,
  GraphBuilder,
  MIXTURE_INPUTS,
  WORDS,
  writeMixedMaskedLmHead,
  type MixedHead,
} from '@thalamus/onnx-graph';
import { BASE_PREFIX, TWIN_VALUES, twinInputs } from '../heads/twin-values.js';
import type { MergedGraph } from '../merge-method.js';
import { operatorSets } from '../switch/check-merge-input.js';
import { writeAbstain, writeParent } from './choice.js';
import { bindMixture, writeWeights } from './mixture-weights.js';
import { writeRouterLogits, writeTokenLogits } from './router-graph.js';
import type { TwinGraphInput } from './twin-graph.js';

/** A parent with a masked-LM head of its own over the word embeddings that all share. */
export interface MaskedParent {
  /** Name of the expert; unique among the parents. */
  readonly name: string;
  readonly head: MixedHead;
}

/** What a masked Twin graph is made of. */
export interface MaskedTwinInput extends Pick<
  TwinGraphInput,
  'encoder' | 'mixture' | 'top' | 'groups' | 'router' | 'abstainBelow'
> {
  /** Sorted by name, in the order of the mixture and the router. */
  readonly parents: readonly MaskedParent[];
}

/**
 * Twin-Merging of masked language models as one graph: the encoder is that of `buildTwinGraph`, and the parameters of the heads are
 * mixed by the same weights of a text as the branches are, so that a text is run through one merged model, head and all. Nothing
 * chooses a parent: `parent` names the one of the largest weight, or the one that `task` asks for. Inputs and outputs are those of
 * `TWIN_VALUES`; `logits` are float32 [masked, vocabulary], of the places that `masked_positions` names.
 * @throws COMPOSITION_REFUSED for a router that reads the shared expert's vector, for a mixture that changes the word embeddings, which
 * the decoder is tied to, and for heads or a mixture that do not fit the encoder
 */
export function buildMaskedTwinGraph(input: MaskedTwinInput): MergedGraph {
  const { encoder, mixture, parents, router, groups } = input;
  if (router.vector) throw refused('its router reads the vector of the shared expert; fit it with passes: 1');
  if (mixture?.matrices.get(WORDS)?.some(({ rank }) => rank > 0))
    throw refused('a parent changes the word embeddings, which the decoder of all is tied to');
  const b = new GraphBuilder();
  const inputs = twinInputs(b);
  const positions = b.input(TWIN_VALUES.positions, 'int64', ['masked']);
  const top = mixture && input.top !== undefined && input.top < parents.length ? input.top : undefined;
  const rule = { count: parents.length, top, groups };
  const logits = writeRouterLogits(b, router, writeTokenLogits(b, router, inputs), undefined);
  const routed = b.node('Softmax', [logits], { name: TWIN_VALUES.routerWeights, attributes: { axis: -1 } });
  const bound = bindMixture(b, rule, writeWeights(b, rule, routed, inputs.task));
  const model = mixture ? addMixture(encoder, mixture, { top }) : encoder;
  const outputs = b.embed(model, BASE_PREFIX, {
    [TWIN_VALUES.inputIds]: inputs.ids,
    [TWIN_VALUES.attentionMask]: inputs.mask,
    ...(mixture ? bound : {}),
  });
  const scores = writeMixedMaskedLmHead(
    b,
    { model: encoder, prefix: BASE_PREFIX },
    parents.map(({ head }) => head),
    {
      hidden: outputs['last_hidden_state'] ?? '',
      positions,
      weights: bound[MIXTURE_INPUTS.weights] ?? '',
    },
  );
  const vocabulary = parents[0]?.head.bias.length ?? 0;
  b.output(b.node('Identity', [scores], { name: TWIN_VALUES.logits }), 'float32', ['masked', vocabulary]);
  b.output(routed, 'float32', ['batch', parents.length]);
  b.output(writeParent(b, routed, inputs.task), 'int64', ['batch']);
  b.output(writeAbstain(b, routed, input.abstainBelow), 'bool', ['batch']);
  return {
    model: b.build({ name: 'masked-twin', ...operatorSets(encoder) }),
    parents: parents.map(({ name }) => name),
    labels: [],
  };
}

function refused(reason: string): ThalamusError {
  return new ThalamusError(
    'COMPOSITION_REFUSED',
    `These masked language models cannot be one graph: ${reason}.`,
  );
}
