import { ThalamusError } from '@thalamus/errors';

/** Element types that the mesh computes with. */
export type DataType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'bfloat16'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'bool'
  | 'string';

/** Storage of each element type; float16 and bfloat16 hold bit patterns, bool holds 0 or 1. */
export interface TensorData {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int8: Int8Array;
  uint8: Uint8Array;
  int16: Int16Array;
  uint16: Uint16Array;
  int32: Int32Array;
  uint32: Uint32Array;
  int64: BigInt64Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
  string: readonly string[];
}

/** A dense row-major tensor. */
export interface TensorOf<T extends DataType> {
  readonly dtype: T;
  /** Sizes of the dimensions; empty for a scalar. */
  readonly shape: readonly number[];
  /** Elements, as many as the product of the shape. */
  readonly data: TensorData[T];
}

/** A tensor of any element type. */
export type Tensor = { [T in DataType]: TensorOf<T> }[DataType];

/** Number of elements of a shape. @throws TENSOR_INVALID for a negative or fractional size, or more than 2^53 - 1 elements. */
export function elementCount(shape: readonly number[]): number {
  let product = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new ThalamusError(
        'TENSOR_INVALID',
        `Shape [${shape.join(', ')}] holds ${size}; sizes are whole and not negative.`,
      );
    }
    product *= size;
  }
  if (!Number.isSafeInteger(product)) {
    throw new ThalamusError(
      'TENSOR_INVALID',
      `Shape [${shape.join(', ')}] stands for more elements than can be counted exactly.`,
    );
  }
  return product;
}

/** Makes a tensor. @throws TENSOR_INVALID when the number of elements does not fit the shape. */
export function tensor<T extends DataType>(
  dtype: T,
  shape: readonly number[],
  data: TensorData[T],
): TensorOf<T> {
  const expected = elementCount(shape);
  if (data.length !== expected) {
    throw new ThalamusError(
      'TENSOR_INVALID',
      `Shape [${shape.join(', ')}] needs ${expected} elements, but ${data.length} are given.`,
    );
  }
  return { dtype, shape, data };
}

/** The tensor as float32. @throws TENSOR_INVALID when it has another type; `name` says which tensor. */
export function asFloat32(value: Tensor | undefined, name: string): TensorOf<'float32'> {
  if (value?.dtype !== 'float32') {
    throw new ThalamusError(
      'TENSOR_INVALID',
      `Tensor ${name} should be float32 but is ${value?.dtype ?? 'missing'}.`,
    );
  }
  return value;
}
