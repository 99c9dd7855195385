import { tensor, type TensorOf } from '@thalamus/tensor';

/** Element types that have gradients: float32 to train with, float64 where rounding must not hide an error. */
export type FloatType = 'float32' | 'float64';

/** Number of ONNX of each type, and how a scalar of it is made. */
export const FLOAT_TYPES: Readonly<
  Record<
    FloatType,
    { readonly code: number; readonly scalar: (value: number) => TensorOf<'float32'> | TensorOf<'float64'> }
  >
> = {
  float32: { code: 1, scalar: (value) => tensor('float32', [], Float32Array.of(value)) },
  float64: { code: 11, scalar: (value) => tensor('float64', [], Float64Array.of(value)) },
};
