import { ThalamusError } from '@thalamus/errors';
import { softmax } from '@thalamus/tensor';
import { affine } from './affine.js';
import type { AverageLossHeads, LossHeads } from './loss-heads.js';
import { nearestLosses } from './nearest-losses.js';

/**
 * Predicted loss of every candidate for every prompt: [prompts, candidates], row-major, in the loss unit of the router
 * model. `embeddings` is [prompts, dimension], L2-normalised, from the encoder that the router model names.
 * Predictions are not clipped: a value below zero ranks as it is. TENSOR_INVALID when sizes do not fit.
 */
export function predictLosses(heads: LossHeads, embeddings: Float32Array): Float32Array {
  const { dimension } = heads;
  requireSize('the embeddings', embeddings.length % dimension, 0);
  if (heads.kind === 'average') return averageLosses(heads, embeddings);
  if (heads.kind === 'nearest') return nearestLosses(heads, embeddings);
  if (heads.kind === 'linear') {
    requireSize('the head weights', heads.weights.length, heads.bias.length * dimension);
    return affine(embeddings, dimension, heads.weights, heads.bias);
  }
  if (heads.kind === 'gated') {
    const width = heads.gateBias.length + dimension;
    requireSize('the gate weights', heads.gateWeights.length, heads.gateBias.length * dimension);
    requireSize('the head weights', heads.weights.length, heads.bias.length * width);
    const features = gatedFeatures(embeddings, dimension, heads.gateWeights, heads.gateBias);
    return affine(features, width, heads.weights, heads.bias);
  }
  const hidden = heads.hiddenBias.length;
  requireSize('the hidden weights', heads.hiddenWeights.length, hidden * dimension);
  requireSize('the head weights', heads.weights.length, heads.bias.length * hidden);
  const activations = affine(embeddings, dimension, heads.hiddenWeights, heads.hiddenBias);
  for (let at = 0; at < activations.length; at++) activations[at] = Math.max(0, activations[at]!);
  return affine(activations, hidden, heads.weights, heads.bias);
}

/** Features of a gated head: [prompts, gates + dimension], the gate's probabilities and then the embedding. */
export function gatedFeatures(
  embeddings: Float32Array,
  dimension: number,
  gateWeights: Float32Array,
  gateBias: Float32Array,
): Float32Array {
  const gates = gateBias.length;
  const width = gates + dimension;
  const logits = affine(embeddings, dimension, gateWeights, gateBias);
  const prompts = embeddings.length / dimension;
  const features = new Float32Array(prompts * width);
  for (let prompt = 0; prompt < prompts; prompt++) {
    features.set(softmax(logits.subarray(prompt * gates, (prompt + 1) * gates)), prompt * width);
    features.set(embeddings.subarray(prompt * dimension, (prompt + 1) * dimension), prompt * width + gates);
  }
  return features;
}

/**
 * How far prompts lie from everything the router model was fitted on: 1 - the largest cosine between the embedding and
 * a row of `prototypes` [count, dimension], both L2-normalised; 0 to 2. This is the score `prototype-distance`.
 */
export function prototypeDistances(
  embeddings: Float32Array,
  prototypes: Float32Array,
  dimension: number,
): Float32Array {
  return nearest(embeddings, prototypes, dimension).cosines.map((cosine) => 1 - cosine);
}

/** Region of each prompt: index of the row of `centroids` [count, dimension] with the largest cosine. */
export function regionIds(embeddings: Float32Array, centroids: Float32Array, dimension: number): Uint32Array {
  return nearest(embeddings, centroids, dimension).indices;
}

function nearest(embeddings: Float32Array, rows: Float32Array, dimension: number) {
  requireSize('the embeddings', embeddings.length % dimension, 0);
  requireSize('the rows compared with', rows.length === 0 ? 1 : rows.length % dimension, 0);
  const cosinesToAll = affine(embeddings, dimension, rows, new Float32Array(rows.length / dimension));
  const count = rows.length / dimension;
  const prompts = embeddings.length / dimension;
  const cosines = new Float32Array(prompts).fill(-Infinity);
  const indices = new Uint32Array(prompts);
  for (let prompt = 0; prompt < prompts; prompt++) {
    for (let row = 0; row < count; row++) {
      const cosine = cosinesToAll[prompt * count + row]!;
      if (cosine > cosines[prompt]!) {
        cosines[prompt] = cosine;
        indices[prompt] = row;
      }
    }
  }
  return { cosines, indices };
}

function averageLosses({ parts }: AverageLossHeads, embeddings: Float32Array): Float32Array {
  let sum = new Float32Array();
  for (const [at, { share, heads }] of parts.entries()) {
    const own = predictLosses(heads, embeddings);
    if (at === 0) sum = own.map((loss) => share * loss);
    else own.forEach((loss, index) => (sum[index]! += share * loss));
  }
  return sum;
}

function requireSize(what: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new ThalamusError(
    'TENSOR_INVALID',
    `Loss prediction: ${what} do not fit the width of the router model; load heads and encoder of one router model.`,
  );
}
