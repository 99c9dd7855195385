// The small masked language models that are distilled from the generalist: fewer layers, word embeddings in two factors, and the form
// that they are stored in.
import { encodeModel } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { maskedLmGraph } from '@thalamus/training';

/** `layers` are those of the generalist that a model begins with; `embedding` is the inner size of the word embeddings. */
export const SMALL_MODELS = [
  { name: 'mlm-small-3', layers: [0, 2, 5], embedding: 96 },
  { name: 'mlm-small-2', layers: [0, 5], embedding: 64 },
  { name: 'mlm-small-1', layers: [0], embedding: 64 },
];

/** Rows that a scale of a linear matrix stands for. Against 32, 128 costs less than 0.001 nats and saves a twentieth of the bytes. */
const BLOCK_ROWS = 128;
const POSITIONS = 'embeddings.position_embeddings.weight';

/**
 * The graph of a small model as it is shipped: int8, one scale a word, and positions up to the longest text that a host takes;
 * later ones are never looked up. Weights are as `maskedLmGraph` takes them.
 */
export function storedSmall({ config, weights }, { embedding }, maxPositions) {
  const storage = { kind: 'int8', blockSize: BLOCK_ROWS, wordBlockSize: embedding, isWhole: true };
  const { hiddenSize } = config;
  const { data } = weights.get(POSITIONS);
  const positions = tensor('float32', [maxPositions, hiddenSize], data.slice(0, maxPositions * hiddenSize));
  return encodeModel(
    maskedLmGraph({ ...config, maxPositions }, new Map(weights).set(POSITIONS, positions), storage),
  );
}
