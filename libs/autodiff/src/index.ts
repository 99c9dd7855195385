export {
  differentiate,
  DIFFERENTIABLE_OPERATORS,
  gradientName,
  type DifferentiateOptions,
} from './differentiate.js';
export { writeCrossEntropy } from './write-cross-entropy.js';
