/** Numbers from here on round to infinity in float16, whose largest is 65504. */
const BEYOND = 65_520;

/** The first number that float16 has no place for, NaN and infinity among them; undefined where there is none. */
export function beyondHalf(values: Float32Array): number | undefined {
  return values.find((value) => !(Math.abs(value) < BEYOND));
}
