/**
 * A seed for a place in a run, such as row and pass: the finaliser of MurmurHash3 after each part, so that neighbours get
 * unlike seeds.
 */
export function mixSeed(seed: number, ...place: readonly number[]): number {
  let mixed = finalise(seed);
  for (const part of place) mixed = finalise((mixed + Math.imul(part + 1, 0x9e3779b1)) >>> 0);
  return mixed;
}

function finalise(value: number): number {
  let mixed = value >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
