import {
  addGatheredBranches,
  BRANCH_INPUTS,
  GraphBuilder,
  type OnnxModel,
  type ValueName,
} from '@thalamus/onnx-graph';
import { tensor, type Tensor } from '@thalamus/tensor';
import { checkLayers, stackBranches } from './branch-stacks.js';
import type { Choice } from '../heads/merge-heads.js';
import { chooseParent } from './choose-parent.js';
import type { MergeInput, MergeParent } from '../merge-method.js';
import { BASE_PREFIX, TWIN_VALUES, type TwinInputs } from '../heads/twin-values.js';

/** Encodings of a batch, and who answers. */
export interface EncodedTwice extends Choice {
  /** float32 [batch, width]: the base without branches. */
  readonly plain: ValueName;
  /** float32 [batch, width]: every row under the branches of its chosen parent, if it has any. */
  readonly branched: ValueName;
}

/** Names in the graph around the loop, and inside its body: the body must not use a name of the graph around. */
const LOOP_PREFIX = '_rounds/';
const BODY_PREFIX = '_round/';
const STACK_PREFIX = '_branches/';

/**
 * Encodes a batch, lets the router choose on what came out, and encodes it again under the branches of the chosen parents.
 *
 * It is a `Loop` of at most two rounds, so that the base stands in its body once, nodes and weights. (Two encoders over the
 * same constants would not do: ONNX Runtime 1.30 multiplies blocks of int8 without unpacking them only where their constant
 * has one reader in its own graph, and what it multiplies otherwise rounds otherwise.) The second round is left out when no
 * chosen parent has branches. Only layers that some parent changes have them.
 * @throws COMPOSITION_REFUSED for branches that do not fit the base, GRAPH_INVALID for a base without linear layers
 */
export function encodeTwice(
  builder: GraphBuilder,
  { base, parents }: MergeInput,
  inputs: TwinInputs,
): EncodedTwice {
  const start = (name: string, value: Tensor) => builder.constant(`${LOOP_PREFIX}${name}`, value);
  const nothing = start('nothing', tensor('float32', [1, 1], new Float32Array(1)));
  const made = builder.nodeWithOutputs(
    'Loop',
    [
      start('most', tensor('int64', [], BigInt64Array.of(2n))),
      start('go', tensor('bool', [], Uint8Array.of(1))),
      ...[nothing, nothing, nothing],
      inputs.task,
    ],
    [`${LOOP_PREFIX}plain`, `${LOOP_PREFIX}branched`, TWIN_VALUES.routerWeights, TWIN_VALUES.parent],
    { graphs: { body: roundOf(base, parents, inputs) } },
  );
  const [plain = '', branched = '', weights = '', parent = ''] = made;
  return { plain, branched, weights, parent };
}

/** One round. Carries the plain embedding, the embedding of this round, the router's weights and the chosen parents. */
function roundOf(base: OnnxModel, parents: readonly MergeParent[], inputs: TwinInputs): OnnxModel {
  const body = new GraphBuilder(BODY_PREFIX);
  const named = (name: string) => `${BODY_PREFIX}${name}`;
  const round = body.input(named('index'), 'int64', []);
  body.input(named('go_before'), 'bool', []);
  const before = body.input(named('plain_before'), 'float32', ['rows', 'width']);
  for (const name of ['embedding_before', 'weights_before'])
    body.input(named(name), 'float32', ['rows', 'columns']);
  const chosen = body.input(named('parent_before'), 'int64', ['batch']);
  for (const name of Object.values(inputs) as ValueName[]) body.outer(name);

  const zero = body.constant('first', tensor('int64', [], BigInt64Array.of(0n)));
  const isSecond = body.node('Greater', [round, zero], { name: 'is_second' });
  const { embedding, rows } = branchedBase(body, base, parents, { inputs, chosen, isSecond });
  const plain = body.node('Where', [isSecond, before, embedding], { name: 'plain' });
  const { weights, parent } = chooseParent(body, plain, parents, inputs.task);
  const last = body.node('ReduceMax', [body.node('Gather', [rows, parent])], { attributes: { keepdims: 0 } });
  const none = body.constant('none', tensor('int32', [], new Int32Array(1)));
  const isNeeded = body.node('Greater', [last, none]);
  const go = body.node('And', [isNeeded, body.node('Not', [isSecond])], { name: 'go' });

  body.output(go, 'bool', []);
  body.output(plain, 'float32', ['batch', 'width']);
  body.output(embedding, 'float32', ['batch', 'width']);
  body.output(weights, 'float32', ['batch', parents.length]);
  body.output(parent, 'int64', ['batch']);
  return body.build({ name: 'round' });
}

/** The base with the branches of all parents; `rows` int32 [parents] says which row of the stacks is whose. */
function branchedBase(
  body: GraphBuilder,
  base: OnnxModel,
  parents: readonly MergeParent[],
  of: { readonly inputs: TwinInputs; readonly chosen: ValueName; readonly isSecond: ValueName },
): { readonly embedding: ValueName; readonly rows: ValueName } {
  checkLayers(parents, addGatheredBranches(base).branches);
  const changed = parents.flatMap(({ branches }) => branches?.factors.map(({ layer }) => layer) ?? []);
  const { model, branches } = addGatheredBranches(base, new Set(changed));
  const stacks = stackBranches(parents, branches);
  const stack = (name: string, value: Tensor) => body.constant(`${STACK_PREFIX}${name}`, value);
  const rows = stack('rows', stacks.rows);
  const { embedding = '' } = body.embed(model, BASE_PREFIX, {
    [TWIN_VALUES.inputIds]: of.inputs.ids,
    [TWIN_VALUES.attentionMask]: of.inputs.mask,
    [BRANCH_INPUTS.enabled]: of.isSecond,
    // The first round gathers nothing by it, and a task that is left open is a place from the end.
    [BRANCH_INPUTS.row]: body.node('Gather', [rows, of.chosen]),
    ...Object.fromEntries([...stacks.inputs].map(([name, value]) => [name, stack(name, value)])),
  });
  return { embedding, rows };
}
