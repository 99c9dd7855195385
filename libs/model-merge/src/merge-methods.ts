import { ThalamusError } from '@thalamus/errors';
import type { MergeMethod } from './merge-method.js';
import { SWITCH_METHOD } from './switch/switch-method.js';

/** Every merge method, by name. */
export const MERGE_METHODS: readonly MergeMethod[] = [SWITCH_METHOD];

/** The method of a name. @throws REQUEST_INVALID that lists the known ones */
export function mergeMethod(name: string): MergeMethod {
  const method = MERGE_METHODS.find((candidate) => candidate.name === name);
  if (method) return method;
  const known = MERGE_METHODS.map((candidate) => candidate.name).join(', ');
  throw new ThalamusError(
    'REQUEST_INVALID',
    `The merge method "${name.slice(0, 60)}" is unknown; known are ${known}.`,
    { violations: [{ field: 'recipe.method', description: `one of ${known}` }] },
  );
}
