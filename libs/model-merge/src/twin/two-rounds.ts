import { GraphBuilder, type OnnxModel, type ValueName } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { BASE_PREFIX, TWIN_VALUES, type TwinInputs } from '../heads/twin-values.js';
import { bindMixture, writeWeights, type MixtureBindings, type WeightRule } from './mixture-weights.js';
import { writeRouterLogits } from './router-graph.js';
import type { TokenRouter } from './token-router.js';

/** Names in the graph around the loop, and inside its body: the body must not use a name of the graph around. */
const LOOP_PREFIX = '_rounds/';
const BODY_PREFIX = '_round/';

/** What two rounds are made of. */
export interface Rounds {
  /** The shared expert with its mixture. */
  readonly model: OnnxModel;
  readonly inputs: TwinInputs;
  readonly router: TokenRouter;
  /** float32 [batch, parents]: the router's token logits. */
  readonly tokens: ValueName;
  readonly rule: WeightRule;
}

/** Embeds a model that takes tokens; gives its vectors [batch, width]. */
export function embedWith(
  b: GraphBuilder,
  model: OnnxModel,
  { ids, mask }: TwinInputs,
  weights: MixtureBindings,
): ValueName {
  const bindings = { [TWIN_VALUES.inputIds]: ids, [TWIN_VALUES.attentionMask]: mask, ...weights };
  return b.embed(model, BASE_PREFIX, bindings)['embedding'] as ValueName;
}

/**
 * The shared expert's encoding, what the router makes of it, and the encoding under the weights that come of that: a `Loop` of
 * two rounds, so that the encoder stands in its body once, nodes and weights.
 */
export function writeTwoRounds(
  b: GraphBuilder,
  rounds: Rounds,
): { readonly routed: ValueName; readonly embedding: ValueName } {
  const start = (name: string, value: Parameters<GraphBuilder['constant']>[1]) =>
    b.constant(`${LOOP_PREFIX}${name}`, value);
  // [batch, parents] of zeros: the shared expert alone.
  const none = b.node('Sub', [rounds.tokens, rounds.tokens], { name: `${LOOP_PREFIX}none` });
  const [, routed = '', embedding = ''] = b.nodeWithOutputs(
    'Loop',
    [
      start('most', tensor('int64', [], BigInt64Array.of(2n))),
      start('go', tensor('bool', [], Uint8Array.of(1))),
      none,
      none,
      start('nothing', tensor('float32', [1, 1], new Float32Array(1))),
    ],
    [`${LOOP_PREFIX}weights`, TWIN_VALUES.routerWeights, `${LOOP_PREFIX}embedding`],
    { graphs: { body: roundOf(rounds) } },
  );
  return { routed, embedding };
}

/** One round. Carries the weights of the texts, those that the router gave in the first round, and the encoding. */
function roundOf({ model, inputs, router, tokens, rule }: Rounds): OnnxModel {
  const body = new GraphBuilder(BODY_PREFIX);
  const named = (name: string) => `${BODY_PREFIX}${name}`;
  const round = body.input(named('index'), 'int64', []);
  const before = body.input(named('go_before'), 'bool', []);
  const weights = body.input(named('weights_before'), 'float32', ['batch', rule.count]);
  const routedBefore = body.input(named('routed_before'), 'float32', ['batch', rule.count]);
  body.input(named('embedding_before'), 'float32', ['rows', 'width']);
  for (const name of [inputs.ids, inputs.mask, inputs.task, tokens]) body.outer(name);

  const embedding = embedWith(body, model, inputs, bindMixture(body, rule, weights));
  const logits = writeRouterLogits(body, router, tokens, embedding);
  const routedNow = body.node('Softmax', [logits], { attributes: { axis: -1 } });
  const zero = body.constant('first', tensor('int64', [], BigInt64Array.of(0n)));
  const isFirst = body.node('Equal', [round, zero]);
  const routed = body.node('Where', [isFirst, routedNow, routedBefore], { name: 'routed' });
  const next = writeWeights(body, rule, routed, inputs.task);

  body.output(body.node('Identity', [before], { name: 'go' }), 'bool', []);
  body.output(next, 'float32', ['batch', rule.count]);
  body.output(routed, 'float32', ['batch', rule.count]);
  body.output(embedding, 'float32', ['batch', 'width']);
  return body.build({ name: 'round' });
}
