import type { GraphBuilder, ValueName } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { linear } from '../heads/linear.js';
import type { Choice } from '../heads/merge-heads.js';
import type { MergeParent } from '../merge-method.js';
import { TWIN_VALUES } from '../heads/twin-values.js';

const ROUTER_PREFIX = '_router/';

/**
 * The softmax of the router on the plain embedding, and the parent of largest weight, the first of equals, unless `task`
 * names one. Parents are in the order of the graph.
 */
export function chooseParent(
  builder: GraphBuilder,
  embedding: ValueName,
  parents: readonly MergeParent[],
  task: ValueName,
): Choice {
  const router = {
    weights: Float32Array.from(parents.flatMap((parent) => [...parent.router.weights])),
    bias: Float32Array.from(parents, (parent) => parent.router.bias[0]!),
  };
  const logits = linear(builder, embedding, router, {
    prefix: ROUTER_PREFIX,
    name: `${ROUTER_PREFIX}logits`,
  });
  const weights = builder.node('Softmax', [logits], {
    name: TWIN_VALUES.routerWeights,
    attributes: { axis: -1 },
  });
  const zero = builder.constant('zero', tensor('int64', [], BigInt64Array.of(0n)));
  const byRouter = builder.node('ArgMax', [weights], { attributes: { axis: 1, keepdims: 0 } });
  const isOpen = builder.node('Less', [task, zero]);
  const parent = builder.node('Where', [isOpen, byRouter, task], { name: TWIN_VALUES.parent });
  return { weights, parent };
}
