/**
 * The value that is `rank`-th when the values are sorted from the largest, counted from 0 (Hoare 1961, the middle of three as the
 * pivot). The values are put in another order: none that is larger stands after it. No value may be NaN.
 * @throws RangeError for a rank that no value has
 */
export function rankedValue(values: Float64Array | Uint32Array, rank: number): number {
  if (!(Number.isInteger(rank) && rank >= 0 && rank < values.length))
    throw new RangeError(`Rank ${rank} of ${values.length} values: it must be a whole number below that.`);
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const pivot = middleOf(values[low]!, values[(low + high) >> 1]!, values[high]!);
    let [left, right] = [low, high];
    while (left <= right) {
      while (values[left]! > pivot) left += 1;
      while (values[right]! < pivot) right -= 1;
      if (left > right) break;
      const value = values[left]!;
      values[left++] = values[right]!;
      values[right--] = value;
    }
    if (rank <= right) high = right;
    else if (rank >= left) low = left;
    else break;
  }
  return values[rank]!;
}

const middleOf = (a: number, b: number, c: number) => Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
