import type { IsotonicMap } from '@thalamus/routing';

/** Most knots of a map that a manifest takes. */
const MOST_KNOTS = 64;

/**
 * Centred isotonic regression (Oron and Flournoy 2017): each flat part becomes one knot in its middle, so that the map rises
 * between the parts and makes few ties; the first and the last part stay as they are towards the outside. At most so many
 * knots: the ends and those at equal steps of their order between.
 */
export function centredKnots({ inputs, values }: IsotonicMap, most = MOST_KNOTS): IsotonicMap {
  const knots: { input: number; value: number }[] = [];
  for (let from = 0; from < inputs.length;) {
    let to = from;
    while (to + 1 < inputs.length && values[to + 1] === values[from]) to++;
    knots.push({ input: (inputs[from]! + inputs[to]!) / 2, value: values[from]! });
    from = to + 1;
  }
  const count = knots.length;
  const kept =
    count <= most
      ? knots
      : Array.from({ length: most }, (_, at) => knots[Math.round((at * (count - 1)) / (most - 1))]!);
  return {
    kind: 'isotonic',
    inputs: kept.map(({ input }) => input),
    values: kept.map(({ value }) => value),
  };
}
