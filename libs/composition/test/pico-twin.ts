import {
  buildTwinGraph,
  chooseRanks,
  decomposeExclusiveVectors,
  maxRankOf,
  type HeadedParent,
  type MergedGraph,
  type ParentWeights,
  type RankRule,
  type TokenRouter,
  type TwinGraphInput,
} from '@thalamus/model-merge';
import { buildBertEncoder, readBertWeights, type Mixture, type Weights } from '@thalamus/onnx-graph';
import { createRandom, tensor } from '@thalamus/tensor';
import { PICO_CONFIG, PICO_VOCABULARY, picoEncoder, picoHead, picoId } from '@thalamus/testing';
import type { GraphRuntime } from '@thalamus/training';
import { ComposedGraph, type ComposedAnswer } from '../src/index.js';

/** A parent of the pico encoder: weights that a fine-tune might have come to, and a head. */
export interface PicoTwinParent extends ParentWeights, HeadedParent {}

const TOKEN_TYPES = 'embeddings.token_type_embeddings.weight';

/** Weights that random numbers were added to; token types stay, as in a bundle that was read. */
export function tuned(weights: Weights, seed: number, spread: number): Weights {
  const random = createRandom(seed);
  return new Map(
    [...weights].map(([name, { shape, data }]) => {
      const moved = data.map((value) => (name === TOKEN_TYPES ? value : value + spread * random.normal()));
      return [name, tensor('float32', shape, moved)];
    }),
  );
}

/** The pico encoder as it is read from a bundle. */
export const picoShared = (): Weights => readBertWeights(picoEncoder(1)).weights;

/** Three parents, whose labels overlap. */
export function picoParents(shared: Weights, spread = 0.1): PicoTwinParent[] {
  return [
    { name: 'cards', labels: ['lost', 'blocked', 'other'] },
    { name: 'law', labels: ['court', 'other'] },
    { name: 'talk', labels: ['greeting', 'lost', 'money', 'other'] },
  ].map(({ name, labels }, at) => ({
    name,
    labels,
    head: picoHead(labels.length, 30 + at),
    weights: tuned(shared, 40 + at, spread),
  }));
}

/** Exclusive vectors of a rank. */
export async function mixtureOf(
  shared: Weights,
  parents: readonly ParentWeights[],
  rule: RankRule = { kind: 'rank', rank: 4 },
): Promise<Mixture> {
  const vectors = await decomposeExclusiveVectors(shared, parents, { maxRank: maxRankOf(rule), seed: 1 });
  return vectors.mixture(chooseRanks(vectors.spectra, rule));
}

/** A router of random numbers, which is rarely sure. */
export function randomRouter(seed: number, parents: number, hasVector: boolean): TokenRouter {
  const random = createRandom(seed);
  const normals = (rows: number, spread: number) =>
    Float32Array.from({ length: rows * parents }, () => spread * random.normal());
  const buckets = 97;
  return {
    parents,
    vocabulary: PICO_VOCABULARY.length,
    buckets,
    words: normals(PICO_VOCABULARY.length, 0.5),
    means: normals(PICO_VOCABULARY.length, 0.5),
    pairs: normals(buckets, 0.5),
    bias: normals(1, 0.3),
    ...(hasVector ? { vector: normals(PICO_CONFIG.hiddenSize, 0.3) } : {}),
    sharpness: 1.2,
  };
}

/** Token ids of texts from one token to many, in no order. */
export function picoTexts(count: number, seed: number): number[][] {
  const random = createRandom(seed);
  const words = ['card', 'lost', 'law', 'court', 'hello', 'world', 'money', 'block', 'my', 'it'].map(picoId);
  return Array.from({ length: count }, (_, at) => {
    if (at === 1) return [picoId('[CLS]')];
    const length = random.below(9);
    const inside = Array.from({ length }, () => words[random.below(words.length)]!);
    return [picoId('[CLS]'), ...inside, picoId('[SEP]')];
  });
}

/** A graph of the shared expert, parents and a router. */
export function picoTwin(
  shared: Weights,
  rest: Omit<TwinGraphInput, 'encoder' | 'abstainBelow'> & Partial<TwinGraphInput>,
): MergedGraph {
  const encoder = buildBertEncoder(PICO_CONFIG, shared, { kind: 'float32' });
  return buildTwinGraph({ encoder, abstainBelow: 0.4, ...rest });
}

/** Opens a graph, asks it as often as is wanted, and lets it go. */
export async function asking<T>(
  runtime: GraphRuntime,
  { model, parents }: MergedGraph,
  work: (composed: ComposedGraph) => Promise<T>,
): Promise<T> {
  const composed = await ComposedGraph.open(runtime, model, 1, parents);
  try {
    return await work(composed);
  } finally {
    await composed.release();
  }
}

/** Opens a graph and asks it once. */
export const ask = (
  runtime: GraphRuntime,
  graph: MergedGraph,
  ids: readonly (readonly number[])[],
  tasks?: readonly number[],
): Promise<ComposedAnswer[]> => asking(runtime, graph, (composed) => composed.answer(ids, tasks));

/** A mixture with its parents in another order: first the one whose index comes first. */
export function reorderedMixture({ parents, matrices, vectors }: Mixture, order: readonly number[]): Mixture {
  return {
    parents,
    matrices: new Map([...matrices].map(([name, changes]) => [name, order.map((at) => changes[at]!)])),
    vectors: new Map(
      [...vectors].map(([name, { shared, changes }]) => {
        const of = (at: number) => changes.subarray(at * shared.length, (at + 1) * shared.length);
        return [name, { shared, changes: Float32Array.from(order.flatMap((at) => [...of(at)])) }];
      }),
    ),
  };
}

/** A router with its parents in another order. */
export function reorderedRouter(router: TokenRouter, order: readonly number[]): TokenRouter {
  const { parents } = router;
  const of = (table: Float32Array) =>
    table.map((_, at) => table[at - (at % parents) + order[at % parents]!]!);
  return {
    ...router,
    words: of(router.words),
    means: of(router.means),
    pairs: of(router.pairs),
    bias: of(router.bias),
    vector: router.vector && of(router.vector),
  };
}

/** Largest difference of numbers at the same place. */
export const farthest = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

/** Softmax of logits. */
export function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  const largest = Math.max(...values);
  const exponentials = values.map((value) => Math.exp(value - largest));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
}
