import { ThalamusError } from '@thalamus/errors';
import { rankedValue } from '@thalamus/tensor';
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
  const cosines = new Float64Array(rows);
  const ordered = new Float64Array(rows);
  const sums = new Float64Array(candidates);
  const count = Math.min(heads.neighbours, rows);
  const near: Near = { rows: new Int32Array(count), weights: new Float64Array(count) };
  for (let prompt = 0; prompt < prompts; prompt++) {
    const at = prompt * projected;
    products(Float64Array.from(queries.subarray(at, at + projected)), keys, cosines);
    sums.fill(0);
    weigh(cosines, ordered, temperature, near);
    let total = 0;
    for (let at = 0; at < near.rows.length; at++) {
      const weight = near.weights[at]!;
      const from = near.rows[at]! * candidates;
      total += weight;
      for (let k = 0; k < candidates; k++) sums[k]! += weight * values[from + k]!;
    }
    for (let k = 0; k < candidates; k++) losses[prompt * candidates + k] = sums[k]! / total;
  }
  return losses;
}

/** Products of a vector with each row of `others`; four rows at once, so that no sum waits for another and a value is read once. */
function products(vector: Float64Array, others: Float32Array, into: Float64Array): void {
  const width = vector.length;
  const whole = into.length - (into.length % 4);
  for (let row = 0; row < whole; row += 4) {
    const from = row * width;
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let i = 0; i < width; i++) {
      const value = vector[i]!;
      const at = from + i;
      a += value * others[at]!;
      b += value * others[at + width]!;
      c += value * others[at + 2 * width]!;
      d += value * others[at + 3 * width]!;
    }
    into[row] = a;
    into[row + 1] = b;
    into[row + 2] = c;
    into[row + 3] = d;
  }
  for (let row = whole; row < into.length; row++) {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += vector[i]! * others[row * width + i]!;
    into[row] = sum;
  }
}

/** The nearest rows, and how much each counts. */
interface Near {
  readonly rows: Int32Array;
  readonly weights: Float64Array;
}

/** Writes the nearest rows and exp((cosine - largest) / temperature) of each; of equally near ones the earlier rows. */
function weigh(cosines: Float64Array, ordered: Float64Array, temperature: number, into: Near): void {
  const count = into.rows.length;
  ordered.set(cosines);
  const least = rankedValue(ordered, count - 1);
  let largest = least;
  let equal = count;
  for (let at = 0; at < count; at++) {
    const cosine = ordered[at]!;
    if (cosine > largest) largest = cosine;
    if (cosine > least) equal -= 1;
  }
  let taken = 0;
  for (let row = 0; row < cosines.length && taken < count; row++) {
    const cosine = cosines[row]!;
    if (cosine < least || (cosine === least && equal-- <= 0)) continue;
    into.rows[taken] = row;
    into.weights[taken++] = Math.exp((cosine - largest) / temperature);
  }
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
