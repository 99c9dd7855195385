import { ThalamusError } from '@thalamus/errors';

/** By what items can be put together: fields of a row, and the length of what was asked. */
export const DIMENSIONS = ['label', 'slice', 'length', 'task', 'tenant', 'language'] as const;

/** A way of putting items together. */
export type Dimension = (typeof DIMENSIONS)[number];

/** Upper ends of the classes of length. */
const ENDS = {
  tokens: [8, 16, 32, 64, 128, 256, 512],
  characters: [32, 64, 128, 256, 512, 1024, 2048],
} as const;

/** Class of a length, such as `33-64`. */
export function classOfLength(length: number, unit: keyof typeof ENDS): string {
  const ends = ENDS[unit];
  const at = ends.findIndex((end) => length <= end);
  if (at < 0) return `over ${ends.at(-1)!}`;
  return `${at === 0 ? 0 : ends[at - 1]! + 1}-${ends[at]!}`;
}

/** Names of dimensions, separated by commas. @throws CONFIG_INVALID for an unknown or repeated one */
export function parseDimensions(text: string): Dimension[] {
  const names = text.split(',').map((name) => name.trim());
  const known = new Set<string>(DIMENSIONS);
  const odd = names.find((name) => !known.has(name));
  if (odd !== undefined)
    throw new ThalamusError(
      'CONFIG_INVALID',
      `"${odd}" is no way to slice; known are ${DIMENSIONS.join(', ')}.`,
    );
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined)
    throw new ThalamusError('CONFIG_INVALID', `The slices name "${twice}" twice; name it once.`);
  return names as Dimension[];
}

/** What a row lacks that a dimension needs, as a message. */
export function lackOf(dimension: Dimension): string {
  return dimension === 'length'
    ? 'has neither "text" nor "tokens", so its length is not known'
    : `has no "${dimension}"`;
}
