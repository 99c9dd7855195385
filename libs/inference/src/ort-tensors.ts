import { ThalamusError } from '@thalamus/errors';
import type { DataType, Tensor } from '@thalamus/tensor';
import { Tensor as OrtTensor } from 'onnxruntime-node';

const TYPES = new Set<string>([
  'float32',
  'float64',
  'float16',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bool',
  'string',
]);

/** A tensor in the form that ONNX Runtime takes; memory is shared, not copied. */
export function toOrt(value: Tensor, name: string): OrtTensor {
  if (value.dtype === 'bfloat16')
    throw new ThalamusError(
      'TENSOR_INVALID',
      `Tensor ${name} is bfloat16, which ONNX Runtime for Node does not take.`,
    );
  return new OrtTensor(value.dtype as 'float32', value.data as Float32Array, value.shape);
}

/** A tensor that ONNX Runtime gave. */
export function fromOrt(value: OrtTensor): Tensor {
  return { dtype: value.type as 'float32', shape: value.dims, data: value.data as Float32Array };
}

/** Element type of ONNX Runtime's name for it. */
export function dataTypeOf(type: string): DataType | undefined {
  return TYPES.has(type) ? (type as DataType) : undefined;
}
