export {
  asFloat32,
  elementCount,
  tensor,
  type DataType,
  type Tensor,
  type TensorData,
  type TensorOf,
} from './tensor.js';
export {
  decodeFloat16,
  encodeFloat16,
  fromBfloat16Bits,
  fromFloat16Bits,
  toBfloat16Bits,
  toFloat16Bits,
} from './half.js';
export { multiplyPlainly, type Matrix64, type MultiplyMatrices } from './matrix-products.js';
export { orthonormalise } from './orthonormalise.js';
export { createRandom, type Random } from './random.js';
export {
  truncatedSvd,
  type DenseMatrix,
  type TruncatedSvd,
  type TruncatedSvdOptions,
} from './truncated-svd.js';
export { argMax, cosine, dot, largest, logSumExp, softmax } from './vector.js';
export { rankedValue } from './largest.js';
