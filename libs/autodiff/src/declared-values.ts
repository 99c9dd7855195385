import { ThalamusError } from '@thalamus/errors';
import { elementTypeOf, type Dimension, type GraphBuilder, type OnnxGraph } from '@thalamus/onnx-graph';
import type { DataType } from '@thalamus/tensor';

type Declared = OnnxGraph['input'][number];

/** Declares an input as another graph has it. @throws GRAPH_INVALID for an element type that is not known */
export function copyInput(builder: GraphBuilder, input: Declared): void {
  const { elementType, dims } = read(input);
  builder.input(input.name, elementType, dims);
}

/** Declares an output as another graph has it. @throws GRAPH_INVALID for an element type that is not known */
export function copyOutput(builder: GraphBuilder, output: Declared): void {
  const { elementType, dims } = read(output);
  builder.output(output.name, elementType, dims);
}

function read({ name, type }: Declared): { readonly elementType: DataType; readonly dims: Dimension[] } {
  const tensorType = type?.value.case === 'tensorType' ? type.value.value : undefined;
  const elementType = elementTypeOf(tensorType?.elemType ?? 0);
  if (!elementType)
    throw new ThalamusError('GRAPH_INVALID', `${name} is no tensor of an element type that is known.`);
  const dims = (tensorType?.shape?.dim ?? []).map(({ value }, axis) => {
    if (value.case === 'dimValue') return Number(value.value);
    return value.case === 'dimParam' ? value.value : `${name}#${axis}`;
  });
  return { elementType, dims };
}
