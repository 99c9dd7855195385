import { buildBertEncoder, encodeModel, type BertConfig, type Weights } from '@thalamus/onnx-graph';
import { createRandom, tensor, type TensorOf } from '@thalamus/tensor';

/**
 * Raise it with every change of the graph or of how it is measured: what was kept is then measured anew. Sizes are those of a small
 * sentence encoder; unpacked, its weights do not fit a second-level cache, as those of a whole one do not.
 */
export const PROBE_VERSION = 2;

const CONFIG: BertConfig = {
  hiddenSize: 384,
  layers: 2,
  heads: 12,
  maxPositions: 128,
  layerNormEpsilon: 1e-12,
};
const INNER = 4 * CONFIG.hiddenSize;
const BLOCK = 32;

/** Ids are below this. */
export const PROBE_VOCABULARY = 64;

/** An encoder of random weights, int8 in blocks as the zoo's base is: what host sessions spend their time on. */
export function probeGraph(): Uint8Array {
  return encodeModel(buildBertEncoder(CONFIG, weights(), { kind: 'int8', blockSize: BLOCK }));
}

function weights(): Weights {
  const random = createRandom(PROBE_VERSION);
  const { hiddenSize: width, layers, maxPositions } = CONFIG;
  const all = new Map<string, TensorOf<'float32'>>();
  const put = (name: string, ...shape: number[]) => {
    const size = shape.reduce((product, each) => product * each, 1);
    const data = Float32Array.from({ length: size }, () => (random.next() - 0.5) / 16);
    all.set(name, tensor('float32', shape, data));
  };
  const norm = (name: string) => {
    put(`${name}.weight`, width);
    put(`${name}.bias`, width);
  };
  const linear = (name: string, outputs: number, inputs: number) => {
    put(`${name}.weight`, outputs, inputs);
    put(`${name}.bias`, outputs);
  };
  put('embeddings.word_embeddings.weight', PROBE_VOCABULARY, width);
  put('embeddings.position_embeddings.weight', maxPositions, width);
  put('embeddings.token_type_embeddings.weight', 2, width);
  norm('embeddings.LayerNorm');
  for (let layer = 0; layer < layers; layer++) {
    const at = `encoder.layer.${layer}`;
    for (const part of ['query', 'key', 'value']) linear(`${at}.attention.self.${part}`, width, width);
    linear(`${at}.attention.output.dense`, width, width);
    norm(`${at}.attention.output.LayerNorm`);
    linear(`${at}.intermediate.dense`, INNER, width);
    linear(`${at}.output.dense`, width, INNER);
    norm(`${at}.output.LayerNorm`);
  }
  return all;
}
