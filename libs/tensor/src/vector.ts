/** log(sum(exp(x))) without overflow; -Infinity for an empty vector. */
export function logSumExp(values: ArrayLike<number>): number {
  let largest = -Infinity;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, values[i]!);
  if (!Number.isFinite(largest)) return largest;
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Math.exp(values[i]! - largest);
  return largest + Math.log(sum);
}

/** exp(x) / sum(exp(x)), in double precision. */
export function softmax(values: ArrayLike<number>): Float64Array {
  const norm = logSumExp(values);
  return Float64Array.from(values, (value) => Math.exp(value - norm));
}

/** Index of the largest element, the first of equals; -1 for an empty vector. */
export function argMax(values: ArrayLike<number>): number {
  let best = -1;
  for (let i = 0; i < values.length; i++) if (best < 0 || values[i]! > values[best]!) best = i;
  return best;
}

/** Sum of products of two vectors of one length. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Cosine of the angle between two vectors; 0 when one of them is zero. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const norm = Math.sqrt(dot(a, a) * dot(b, b));
  return norm === 0 ? 0 : dot(a, b) / norm;
}

/** Indices of the `count` largest values, largest first; of equal ones the smaller index comes first. NaN is never among them. */
export function largest(values: ArrayLike<number>, count: number): number[] {
  const indices: number[] = [];
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (Number.isNaN(value) || (indices.length >= count && !(value > values[indices.at(-1)!]!))) continue;
    let at = indices.length;
    while (at > 0 && value > values[indices[at - 1]!]!) at--;
    indices.splice(at, 0, index);
    if (indices.length > count) indices.pop();
  }
  return indices;
}
