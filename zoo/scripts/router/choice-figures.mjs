// Figures of ways to choose a model for each of many measured prompts, with bootstrap intervals by document.
import { createRandom } from '@thalamus/tensor';

/** Shares within which a choice counts as good as the best. */
export const TOLERANCES = [0, 0.01, 0.02, 0.05, 0.1];
const RESAMPLES = 2000;

/** Index of the least of each row of [rows, columns]; the first of equals. */
export function leastOf(values, columns) {
  return Int32Array.from({ length: values.length / columns }, (_, row) => {
    let least = 0;
    for (let k = 1; k < columns; k++)
      if (values[row * columns + k] < values[row * columns + least]) least = k;
    return least;
  });
}

/**
 * 95 % percentile interval of a figure of sums: `columns` are lists with a number for each row, documents are drawn whole, and
 * `figure` gets the means of the columns.
 */
export function intervalOf(columns, figure, documents, seed) {
  const sums = new Map();
  documents.forEach((document, row) => {
    const own = sums.get(document) ?? new Float64Array(columns.length + 1);
    columns.forEach((column, at) => (own[at] += column[row]));
    own[columns.length] += 1;
    sums.set(document, own);
  });
  const list = [...sums.values()];
  const random = createRandom(seed);
  const values = Float64Array.from({ length: RESAMPLES }, () => {
    const total = new Float64Array(columns.length + 1);
    for (let drawn = 0; drawn < list.length; drawn++) {
      const own = list[random.below(list.length)];
      own.forEach((value, at) => (total[at] += value));
    }
    return figure(...total.subarray(0, columns.length).map((sum) => sum / total[columns.length]));
  }).sort();
  return [values[Math.floor(0.025 * RESAMPLES)], values[Math.floor(0.975 * RESAMPLES)]];
}

/**
 * Judges choices. `measured` is [prompts, models] in nats; `single` the model that the gap is measured from. `closed` is the share of
 * the gap from that model to the least loss of each prompt that the choices close.
 */
export function figuresOf(chosen, { measured, models, single, documents, seed }) {
  const rows = chosen.length;
  const at = (row, k) => measured[row * models + k];
  const best = Float64Array.from(leastOf(measured, models), (k, row) => at(row, k));
  const own = Float64Array.from(chosen, (k, row) => at(row, k));
  const alone = Float64Array.from({ length: rows }, (_, row) => at(row, single));
  const hits = TOLERANCES.map((share) =>
    Float64Array.from(own, (loss, row) => Number(loss <= (1 + share) * best[row])),
  );
  const share = (own, alone, best) => (alone - own) / (alone - best);
  return {
    loss: meanOf(own),
    within: hits.map(meanOf),
    top1Interval: intervalOf([hits[0]], (mean) => mean, documents, seed),
    closed: share(meanOf(own), meanOf(alone), meanOf(best)),
    closedInterval: intervalOf([own, alone, best], share, documents, seed),
  };
}

/** Interval of how much less the choices `own` lose than `other`, in nats. */
export function advantageOf(own, other, { measured, models, documents, seed }) {
  const less = Float64Array.from(
    own,
    (k, row) => measured[row * models + other[row]] - measured[row * models + k],
  );
  return { mean: meanOf(less), interval: intervalOf([less], (mean) => mean, documents, seed) };
}

/** Mean of numbers. */
export function meanOf(values) {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}
