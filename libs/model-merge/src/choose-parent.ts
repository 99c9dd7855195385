import type { GraphBuilder, ValueName } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import type { LinearLayer, MergeParent } from './merge-method.js';
import { TWIN_VALUES } from './twin-values.js';

/** Who answers each row of a batch. */
export interface Choice {
  /** float32 [batch, parents] */
  readonly weights: ValueName;
  /** int64 [batch] */
  readonly parent: ValueName;
}

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

/** outputs = weights · input + bias, with constants under a prefix. */
export function linear(
  builder: GraphBuilder,
  input: ValueName,
  { weights, bias }: LinearLayer,
  { prefix, name }: { readonly prefix: string; readonly name: string },
): ValueName {
  const outputs = bias.length;
  const width = weights.length / outputs;
  const matrix = builder.constant(
    `${prefix}weight`,
    tensor('float32', [width, outputs], transposed(weights, outputs, width)),
  );
  const shift = builder.constant(`${prefix}bias`, tensor('float32', [outputs], bias));
  return builder.node('Add', [builder.node('MatMul', [input, matrix]), shift], { name });
}

function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      result[column * rows + row] = matrix[row * columns + column]!;
  return result;
}
