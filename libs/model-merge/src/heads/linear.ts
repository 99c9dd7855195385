import type { GraphBuilder, ValueName } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import type { LinearLayer } from '../merge-method.js';

/** A parent with a head of its own. */
export interface HeadedParent {
  /** Name of the expert; unique among the parents. */
  readonly name: string;
  /** Labels in the order of the head's outputs. */
  readonly labels: readonly string[];
  readonly head: LinearLayer;
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
