import { createRandom } from '@thalamus/tensor';
import { sharpened, type RouterRow, type RouterScore } from './score-router.js';
import { pairBucket, softmaxInPlace, type TokenRouter } from './token-router.js';

/** What a router is fitted with. */
export interface FitTokenRouter {
  readonly parents: number;
  /** float32 [vocabulary, width]: word embeddings of the shared expert. */
  readonly embeddings: { readonly data: Float32Array; readonly shape: readonly number[] };
  /** Rows that choose the passes and the sharpness; nothing else is fitted to them. */
  readonly validation: readonly RouterRow[];
  /** Places for pairs of tokens. */
  readonly buckets: number;
  /** Passes over the rows. */
  readonly epochs: number;
  /** Step size of AdaGrad, falling linearly. */
  readonly rate: number;
  /** Orders the rows. */
  readonly seed: number;
  readonly onEpoch?: (done: number, total: number) => void;
}

/** Mean token embeddings are small numbers: what brings them to the size of the other inputs. */
const EMBEDDING_SCALE = 8;
/** Step size of dense inputs, relative to that of tables. */
const DENSE_RATE = 0.1;
/** Share of the step size that is left in the last pass. */
const LAST_RATE = 0.02;
const FLOOR = 1e-8;
/**
 * Fits a router: multinomial logistic regression of a text's parent by AdaGrad (Duchi et al. 2011), rows one by one. Passes and
 * sharpness are those of the least loss on the validation rows (Twin-Merging's released code chooses by the test rows). Equal
 * input and seed, equal bits.
 */
export function fitTokenRouter(
  rows: readonly RouterRow[],
  options: FitTokenRouter,
): { readonly router: TokenRouter; readonly score: RouterScore } {
  const fit = new Fit(
    options,
    rows.some(({ vector }) => vector),
  );
  const random = createRandom(options.seed);
  const order = rows.map((_, at) => at);
  let best: { router: TokenRouter; score: RouterScore } | undefined;
  for (let epoch = 0; epoch < options.epochs; epoch++) {
    random.shuffle(order);
    const rate = options.rate * (1 - epoch / options.epochs + LAST_RATE);
    for (const at of order) fit.step(rows[at]!, rate);
    // The first half still moves far: not worth measuring.
    if (epoch >= options.epochs / 2 - 1) {
      const now = sharpened(fit.router(), options.validation);
      if (!best || now.score.logLoss < best.score.logLoss) best = now;
    }
    options.onEpoch?.(epoch + 1, options.epochs);
  }
  return best!;
}

/** A table of numbers with the sum of the squares of its gradients. */
class Table {
  readonly values: Float32Array;
  private readonly squares: Float32Array;

  constructor(size: number) {
    this.values = new Float32Array(size);
    this.squares = new Float32Array(size);
  }

  /** One step for a row of the table: gradient[k] * factor. */
  step(row: number, gradient: Float64Array, factor: number, rate: number): void {
    const first = row * gradient.length;
    for (let k = 0; k < gradient.length; k++) {
      const value = gradient[k]! * factor;
      const square = (this.squares[first + k]! += value * value);
      this.values[first + k]! -= (rate * value) / Math.sqrt(square + FLOOR);
    }
  }
}

class Fit {
  private readonly words: Table;
  private readonly pairs: Table;
  private readonly bias: Table;
  private readonly mean: Table;
  private readonly vector: Table | undefined;
  private readonly width: number;
  private readonly vocabulary: number;

  constructor(
    private readonly options: FitTokenRouter,
    hasVectors: boolean,
  ) {
    const [vocabulary = 0, width = 0] = options.embeddings.shape;
    this.vocabulary = vocabulary;
    this.width = width;
    this.words = new Table(vocabulary * options.parents);
    this.pairs = new Table(options.buckets * options.parents);
    this.bias = new Table(options.parents);
    this.mean = new Table(width * options.parents);
    this.vector = hasVectors ? new Table(width * options.parents) : undefined;
  }

  step({ ids, parent, vector }: RouterRow, rate: number): void {
    const { parents, buckets } = this.options;
    const mean = this.meanOf(ids);
    const logits = Float64Array.from(this.bias.values);
    const root = 1 / Math.sqrt(Math.max(1, ids.length));
    const add = (table: Table, row: number, factor: number) => {
      for (let k = 0; k < parents; k++) logits[k]! += factor * table.values[row * parents + k]!;
    };
    const places: number[] = [];
    for (let at = 0; at + 1 < ids.length; at++) places.push(pairBucket(ids[at]!, ids[at + 1]!, buckets));
    for (const id of ids) add(this.words, id, root);
    for (const place of places) add(this.pairs, place, root);
    for (let i = 0; i < this.width; i++) add(this.mean, i, mean[i]!);
    if (this.vector && vector) for (let i = 0; i < this.width; i++) add(this.vector, i, vector[i]!);
    const gradient = softmaxInPlace(logits);
    gradient[parent]! -= 1;
    for (const id of ids) this.words.step(id, gradient, root, rate);
    for (const place of places) this.pairs.step(place, gradient, root, rate);
    this.bias.step(0, gradient, 1, DENSE_RATE * rate);
    for (let i = 0; i < this.width; i++) this.mean.step(i, gradient, mean[i]!, DENSE_RATE * rate);
    if (this.vector && vector)
      for (let i = 0; i < this.width; i++) this.vector.step(i, gradient, vector[i]!, DENSE_RATE * rate);
  }

  /** The router as it is now, the linear layer on mean embeddings folded into a table. */
  router(): TokenRouter {
    const { parents, buckets, embeddings } = this.options;
    const means = new Float32Array(this.vocabulary * parents);
    const row = new Float64Array(parents);
    for (let id = 0; id < this.vocabulary; id++) {
      row.fill(0);
      for (let i = 0; i < this.width; i++) {
        const value = EMBEDDING_SCALE * embeddings.data[id * this.width + i]!;
        for (let k = 0; k < parents; k++) row[k]! += value * this.mean.values[i * parents + k]!;
      }
      means.set(row, id * parents);
    }
    return {
      parents,
      vocabulary: this.vocabulary,
      buckets,
      words: this.words.values.slice(),
      means,
      pairs: this.pairs.values.slice(),
      bias: this.bias.values.slice(),
      ...(this.vector ? { vector: this.vector.values.slice() } : {}),
      sharpness: 1,
    };
  }

  private meanOf(ids: readonly number[]): Float64Array {
    const { data } = this.options.embeddings;
    const mean = new Float64Array(this.width);
    for (const id of ids) for (let i = 0; i < this.width; i++) mean[i]! += data[id * this.width + i]!;
    const factor = EMBEDDING_SCALE / Math.max(1, ids.length);
    return mean.map((value) => value * factor);
  }
}
