import { ThalamusError } from '@thalamus/errors';
import type { DataType, Tensor } from '@thalamus/tensor';
import type * as Ort from 'onnxruntime-node';

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

/** A tensor in the form that ONNX Runtime takes; memory is shared, not copied. @throws TENSOR_INVALID */
export function toOrt(ort: typeof Ort, value: Tensor, name: string): Ort.Tensor {
  if (value.dtype === 'bfloat16')
    throw new ThalamusError(
      'TENSOR_INVALID',
      `Tensor ${name} is bfloat16, which ONNX Runtime for Node does not take.`,
    );
  try {
    if (value.dtype !== 'float16')
      return new ort.Tensor(value.dtype as 'float32', value.data as Float32Array, value.shape);
    // Where the engine has Float16Array, onnxruntime-node 1.30 makes one that its native part cannot read: bits stay bits.
    const bits = new ort.Tensor('uint16', value.data, value.shape);
    return Object.defineProperty(bits, 'type', { value: 'float16' });
  } catch (cause) {
    const shape = value.shape.join(', ');
    throw new ThalamusError(
      'TENSOR_INVALID',
      `Tensor ${name} is no ${value.dtype} tensor of shape [${shape}]: it holds ${value.data.length} elements.`,
      { cause },
    );
  }
}

/** A tensor that ONNX Runtime gave. float16 comes as Float16Array where the engine has one: its bits are kept. */
export function fromOrt(value: Ort.Tensor): Tensor {
  const { type, dims: shape, data } = value;
  if (type === 'float16') {
    const bits = data as Uint16Array;
    return { dtype: 'float16', shape, data: new Uint16Array(bits.buffer, bits.byteOffset, bits.length) };
  }
  return { dtype: type as 'float32', shape, data: data as Float32Array };
}

/** Element type of ONNX Runtime's name for it. */
export function dataTypeOf(type: string): DataType | undefined {
  return TYPES.has(type) ? (type as DataType) : undefined;
}
