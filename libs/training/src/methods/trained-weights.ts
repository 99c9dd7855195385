import { transpose, WORD_PROJECTION, type Weights } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import type { Parameters } from '../loop/adamw.js';

/** Weights under their Hugging Face names and layout, those that were trained replaced: a graph holds linear matrices as [in, out]. */
export function trainedWeights(
  weights: Weights,
  trained: Parameters,
): Map<string, ReturnType<typeof transpose>> {
  const result = new Map(weights);
  for (const [name, { shape, data }] of trained) {
    const value = tensor('float32', shape, data);
    const isLinear = shape.length === 2 && (name.startsWith('encoder.') || name === WORD_PROJECTION);
    result.set(name, isLinear ? transpose(value) : value);
  }
  return result;
}
