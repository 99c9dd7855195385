/**
 * p-values of several tests so that the chance of any false alarm among those at or below a level is at most that level, whatever hangs
 * together (Holm 1979). In the order given, never below the raw ones, at most 1.
 * @throws RangeError for what is no p-value
 */
export function holm(pValues: readonly number[]): number[] {
  const odd = pValues.find((p) => !(p >= 0 && p <= 1));
  if (odd !== undefined) throw new RangeError(`Holm: ${odd} is no p-value; each lies between 0 and 1.`);
  const order = pValues.map((_, at) => at).sort((a, b) => pValues[a]! - pValues[b]!);
  const adjusted = new Array<number>(pValues.length);
  let largest = 0;
  order.forEach((at, rank) => {
    largest = Math.max(largest, Math.min(1, (pValues.length - rank) * pValues[at]!));
    adjusted[at] = largest;
  });
  return adjusted;
}
