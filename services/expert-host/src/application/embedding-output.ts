import { POOLINGS, type ExpertManifest, type Pooling } from '@thalamus/bundle';
import { tensor, type Tensor } from '@thalamus/tensor';
import type { ParameterSpecs, ParameterValues } from '../domain/oip-parameters.js';
import { normalised } from './pooling.js';
import type { ExpertValue } from './served-expert.js';

/** The one output of every feature extractor of texts. */
export const EMBEDDING_OUTPUT = 'embedding';

/** Whether vectors are divided by their length; the default is yes. */
export const NORMALIZE: ParameterSpecs = { normalize: { kind: 'bool' } };

/** How tokens become one vector, instead of as the manifest says; and `NORMALIZE`. */
export const POOLED: ParameterSpecs = { pooling: { kind: 'choice', of: POOLINGS }, ...NORMALIZE };

export function embeddingOutputs(width: number): ExpertValue[] {
  return [{ name: EMBEDDING_OUTPUT, datatype: 'FP32', shape: [-1, width] }];
}

/** The pooling that a request asks for, or the manifest's. */
export function poolingOf(manifest: ExpertManifest, parameters: ParameterValues): Pooling {
  const asked = POOLINGS.find((pooling) => pooling === parameters.get('pooling'));
  return asked ?? manifest.pooling ?? 'mean';
}

export const wantsNormalised = (parameters: ParameterValues): boolean =>
  parameters.get('normalize') !== false;

/** `embedding` [texts, width] from a vector for each text. */
export function embeddingTensors(
  vectors: readonly Float32Array[],
  width: number,
  parameters: ParameterValues,
): Map<string, Tensor> {
  const data = new Float32Array(vectors.length * width);
  vectors.forEach((vector, index) => {
    data.set(wantsNormalised(parameters) ? normalised(vector) : vector, index * width);
  });
  return new Map([[EMBEDDING_OUTPUT, tensor('float32', [vectors.length, width], data)]]);
}
