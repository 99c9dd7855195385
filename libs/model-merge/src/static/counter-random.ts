/** A stream of 32-bit numbers addressed by position: number i is a function of key and i alone. */
export interface CounterKey {
  readonly first: number;
  readonly second: number;
}

const GOLDEN_RATIO = 0x9e3779b9;

/**
 * Key of the random numbers of one tensor of one parent. Two chains of a byte-wise xor-multiply hash (FNV-1a's prime) over
 * the UTF-8 bytes of `tensor`, a zero byte and `parent`, started from the low and the high word of the seed.
 */
export function counterKey(seed: number, tensor: string, parent: string): CounterKey {
  const bytes = new TextEncoder().encode(`${tensor}\0${parent}`);
  const low = seed >>> 0;
  const high = Math.floor(seed / 2 ** 32) >>> 0;
  let first = mix(low ^ GOLDEN_RATIO);
  let second = mix(high ^ mix(low));
  for (const byte of bytes) {
    first = Math.imul(first ^ byte, 0x01000193);
    second = Math.imul(second ^ byte, 0x01000193) ^ (second >>> 15);
  }
  return { first: mix(first), second: mix(second) };
}

/** Number `index` of a stream, 0 to 2^32 - 1: two keyed rounds of splitmix32's finaliser over a Weyl sequence. */
export function counterRandom({ first, second }: CounterKey, index: number): number {
  return mix(mix(Math.imul(index, GOLDEN_RATIO) + first) + second);
}

/** The finaliser of splitmix32, as `createRandom` of the tensor library seeds with. */
function mix(x: number): number {
  let z = x | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}
