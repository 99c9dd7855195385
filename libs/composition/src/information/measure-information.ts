import type { HeadedParent, ParentWeights } from '@thalamus/model-merge';
import { encodeModel, WORDS, type BertConfig, type OnnxModel, type Weights } from '@thalamus/onnx-graph';
import { asFloat32, createRandom, softmax, tensor, type TensorOf } from '@thalamus/tensor';
import {
  classifierGraph,
  GradientSession,
  mixSeed,
  parameterFeeds,
  parametersOf,
  tokenFeeds,
  trainedWeights,
  transposed,
  TRAINING_VALUES,
  type GraphRuntime,
} from '@thalamus/training';
import { foundWords, narrowed, widened, type FoundWords } from './found-words.js';

/** How much is measured. */
export interface InformationSettings {
  /** Most rows of each parent. */
  readonly rows: number;
  /** Labels drawn for each row from the parent's own answer; 0: the expectation over all of its labels. */
  readonly labels: number;
  /**
   * Whether the information of each parent is divided by its L2 norm over all weights. Of a parent that is sure of its rows it is
   * thousands of times smaller, and the least information that a merge takes for granted would outweigh all that is known.
   */
  readonly isUnit: boolean;
}

/** Token ids of rows that a parent knows, and what measures. */
export interface InformationRun {
  /** Special tokens included; at least one row. */
  readonly ids: readonly (readonly number[])[];
  /** As in `InformationSettings`. */
  readonly labels: number;
  readonly isUnit: boolean;
  readonly config: BertConfig;
  readonly runtime: GraphRuntime;
  readonly threads: number;
  /** Draws labels. */
  readonly seed: number;
  /** Told how many rows are done, after every gradient; what it throws ends the work. */
  readonly onRow?: ((done: number, total: number) => void) | undefined;
}

/** Diagonal Fisher information by tensor, in the layout of weights. */
export type Information = Pick<Weights, 'get'>;

/**
 * Measures how much the answers of a classifier hang on each weight of its encoder: the diagonal of its Fisher information
 * (Matena and Raffel, arXiv 2111.09832, section 3),
 *
 *     F_j = 1/N sum_n E_{y ~ p(y | x_n)} (d log p(y | x_n) / d th_j)^2
 *
 * in square nats for a unit of the weight, by gradients of one row and one label each. The labels are the model's own: drawn, or
 * all of them weighed by their probabilities. Head and token types have none. Equal runs, equal bits.
 */
export async function measureInformation(
  { weights, head, labels }: Pick<ParentWeights, 'weights'> & Pick<HeadedParent, 'head' | 'labels'>,
  run: InformationRun,
): Promise<Information> {
  const words = foundWords(run.ids);
  const ids = run.ids.map((row) => row.map((id) => words.placeOf.get(id)!));
  const table = weights.get(WORDS)!;
  const model = classifierGraph(run.config, new Map(weights).set(WORDS, narrowed(table, words)), {
    weights: transposed(head.weights, labels.length, run.config.hiddenSize),
    bias: head.bias,
  });
  const names = new Set([...weights.keys()].filter((name) => name !== TOKEN_TYPES));
  const sums = await squaredGradients(model, names, { ...run, ids });
  return inLayout(sums, table.shape[0] ?? 0, words);
}

/** Of single texts there is one type, whose row the positions hold. */
const TOKEN_TYPES = 'embeddings.token_type_embeddings.weight';

interface Sums {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Means over the rows of the expected squares, in the graph's layout. */
async function squaredGradients(
  model: OnnxModel,
  names: ReadonlySet<string>,
  run: InformationRun,
): Promise<ReadonlyMap<string, Sums>> {
  const { runtime, threads, onRow, ids } = run;
  const parameters = parametersOf(model, names);
  const given = parameterFeeds(parameters);
  const sums = new Map([...parameters].map(([name, { data }]) => [name, new Float64Array(data.length)]));
  const forward = await runtime.load({ bytes: encodeModel(model) }, { threads });
  const session = await GradientSession.open(runtime, model, names, threads);
  try {
    for (const [row] of ids.entries()) {
      const feeds = tokenFeeds(ids, [row]);
      const outputs = await forward.run(feeds, { outputs: [TRAINING_VALUES.logits] });
      const probabilities = softmax(asFloat32(outputs[TRAINING_VALUES.logits], 'logits').data);
      for (const { label, weight } of chosenLabels(probabilities, run.labels, mixSeed(run.seed, row))) {
        const labels = tensor('int64', [1], BigInt64Array.of(BigInt(label)));
        const { gradients } = await session.compute({ ...feeds, [TRAINING_VALUES.labels]: labels }, given);
        for (const [name, gradient] of gradients) addSquares(sums.get(name)!, gradient, weight / ids.length);
        onRow?.(row, ids.length);
      }
      onRow?.(row + 1, ids.length);
    }
  } finally {
    await Promise.all([session.release(), forward.release()]);
  }
  const norm = run.isUnit ? normOf(sums.values()) : 1;
  return new Map(
    [...parameters].map(([name, { shape }]) => [
      name,
      { shape, data: Float32Array.from(sums.get(name)!, (sum) => sum / norm) },
    ]),
  );
}

/** Labels whose gradients are taken, with their share in the expectation. */
function chosenLabels(
  probabilities: ArrayLike<number>,
  draws: number,
  seed: number,
): { readonly label: number; readonly weight: number }[] {
  if (draws === 0) return Array.from(probabilities, (weight, label) => ({ label, weight }));
  const random = createRandom(seed);
  const counts = new Map<number, number>();
  for (let draw = 0; draw < draws; draw++) {
    const label = drawn(probabilities, random.next());
    counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return [...counts].map(([label, count]) => ({ label, weight: count / draws }));
}

/** The label in whose share of 0 to 1 a number falls. */
function drawn(probabilities: ArrayLike<number>, at: number): number {
  let left = at;
  for (let label = 0; label < probabilities.length - 1; label++) {
    left -= probabilities[label]!;
    if (left < 0) return label;
  }
  return probabilities.length - 1;
}

/** L2 norm; 1 where all is zero. */
function normOf(all: Iterable<Float64Array>): number {
  let sum = 0;
  for (const values of all) for (const value of values) sum += value * value;
  return Math.sqrt(sum) || 1;
}

function addSquares(sum: Float64Array, gradient: Float32Array, weight: number): void {
  for (let i = 0; i < gradient.length; i++) sum[i]! += weight * gradient[i]! * gradient[i]!;
}

/** Linear matrices as [out, in]; words that no row has know nothing, and are written out when they are asked for. */
function inLayout(
  measured: ReadonlyMap<string, Sums>,
  vocabulary: number,
  words: FoundWords,
): { get(name: string): TensorOf<'float32'> | undefined } {
  const tensors = trainedWeights(new Map(), measured);
  return {
    get: (name) => {
      const found = tensors.get(name);
      return found && name === WORDS ? widened(found, vocabulary, words) : found;
    },
  };
}
