import { ThalamusError } from '@thalamus/errors';
import { affine } from './affine.js';
import type { NearestLossHeads } from './loss-heads.js';
import { toLengthOne } from './static-embedding.js';

/** Losses of `nearest` heads: [prompts, candidates]. @throws TENSOR_INVALID when sizes do not fit */
export function nearestLosses(heads: NearestLossHeads, embeddings: Float32Array): Float32Array {
  const { projected, dimension, keys, values, candidates, temperature } = heads;
  const rows = keys.length / projected;
  if (heads.projection.length !== projected * dimension || values.length !== rows * candidates || rows < 1)
    throw new ThalamusError(
      'TENSOR_INVALID',
      'Loss prediction: the keys and values of the nearest rows do not fit the router model; load heads and encoder of one router model.',
    );
  const queries = projectedRows(embeddings, heads);
  const prompts = queries.length / projected;
  const losses = new Float32Array(prompts * candidates);
  const neighbours = new Neighbours(Math.min(heads.neighbours, rows));
  const sums = new Float64Array(candidates);
  for (let prompt = 0; prompt < prompts; prompt++) {
    neighbours.clear();
    const at = prompt * projected;
    const query = queries.subarray(at, at + projected);
    for (let row = 0; row < rows; row++) neighbours.offer(row, product(query, keys, row * projected));
    sums.fill(0);
    const total = neighbours.weigh(temperature, (row, weight) => {
      for (let k = 0; k < candidates; k++) sums[k]! += weight * values[row * candidates + k]!;
    });
    for (let k = 0; k < candidates; k++) losses[prompt * candidates + k] = sums[k]! / total;
  }
  return losses;
}

/** Sum of the products of a vector with the elements from `from` on; four sums at once, since none waits for another. */
function product(vector: Float32Array, others: Float32Array, from: number): number {
  const whole = vector.length - (vector.length % 4);
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < whole; i += 4) {
    const at = from + i;
    a += vector[i]! * others[at]!;
    b += vector[i + 1]! * others[at + 1]!;
    c += vector[i + 2]! * others[at + 2]!;
    d += vector[i + 3]! * others[at + 3]!;
  }
  for (let i = whole; i < vector.length; i++) a += vector[i]! * others[from + i]!;
  return a + b + (c + d);
}

/** Embeddings as they are compared: P e, of length 1. */
export function projectedRows(
  embeddings: Float32Array,
  heads: Pick<NearestLossHeads, 'projection' | 'projected' | 'dimension'>,
): Float32Array {
  const { projection, projected, dimension } = heads;
  const rows = affine(embeddings, dimension, projection, new Float32Array(projected));
  for (let from = 0; from < rows.length; from += projected)
    toLengthOne(rows.subarray(from, from + projected));
  return rows;
}

/** The nearest rows so far, as a heap with the farthest on top; of equally near ones the earlier row stays. */
class Neighbours {
  private readonly rows: Int32Array;
  private readonly cosines: Float64Array;
  private count = 0;

  constructor(private readonly most: number) {
    this.rows = new Int32Array(most);
    this.cosines = new Float64Array(most);
  }

  clear(): void {
    this.count = 0;
  }

  offer(row: number, cosine: number): void {
    if (this.count < this.most) {
      this.place(this.count, row, cosine);
      this.rise(this.count);
      this.count += 1;
    } else if (cosine > this.cosines[0]!) {
      this.place(0, row, cosine);
      this.sink();
    }
  }

  /** Gives each neighbour with exp((cosine - largest) / temperature); returns the sum of these weights. */
  weigh(temperature: number, take: (row: number, weight: number) => void): number {
    let largest = -Infinity;
    for (let at = 0; at < this.count; at++) largest = Math.max(largest, this.cosines[at]!);
    let total = 0;
    for (let at = 0; at < this.count; at++) {
      const weight = Math.exp((this.cosines[at]! - largest) / temperature);
      total += weight;
      take(this.rows[at]!, weight);
    }
    return total;
  }

  private place(at: number, row: number, cosine: number): void {
    this.rows[at] = row;
    this.cosines[at] = cosine;
  }

  private rise(from: number): void {
    for (let at = from; at > 0;) {
      const above = (at - 1) >> 1;
      if (this.cosines[above]! <= this.cosines[at]!) return;
      this.swap(at, above);
      at = above;
    }
  }

  private sink(): void {
    for (let at = 0; ;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2])
        if (child < this.count && this.cosines[child]! < this.cosines[least]!) least = child;
      if (least === at) return;
      this.swap(at, least);
      at = least;
    }
  }

  private swap(a: number, b: number): void {
    const row = this.rows[a]!;
    const cosine = this.cosines[a]!;
    this.place(a, this.rows[b]!, this.cosines[b]!);
    this.place(b, row, cosine);
  }
}
