/** Hundredths of a millisecond are enough. */
export function round(milliseconds: number): number {
  return Math.round(milliseconds * 100) / 100;
}
