import { ThalamusError } from '@thalamus/errors';
import { FISHER_METHOD } from './methods/fisher.js';
import { LINEAR_METHOD } from './methods/linear.js';
import { PCB_METHOD } from './methods/pcb.js';
import { SLERP_METHOD } from './methods/slerp.js';
import {
  BREADCRUMBS_METHOD,
  BREADCRUMBS_TIES_METHOD,
  DARE_LINEAR_METHOD,
  DARE_TIES_METHOD,
  TASK_ARITHMETIC_METHOD,
  TIES_METHOD,
} from './methods/task-vector-methods.js';
import type { StaticMethod } from './static-method.js';

/** Every static merge method. */
export const STATIC_METHODS: readonly StaticMethod[] = [
  LINEAR_METHOD,
  TASK_ARITHMETIC_METHOD,
  TIES_METHOD,
  DARE_LINEAR_METHOD,
  DARE_TIES_METHOD,
  BREADCRUMBS_METHOD,
  BREADCRUMBS_TIES_METHOD,
  SLERP_METHOD,
  FISHER_METHOD,
  PCB_METHOD,
];

/** The static method of a name. @throws REQUEST_INVALID that lists the known ones */
export function staticMethod(name: string): StaticMethod {
  const method = STATIC_METHODS.find((candidate) => candidate.name === name);
  if (method) return method;
  const known = STATIC_METHODS.map((candidate) => candidate.name).join(', ');
  throw new ThalamusError(
    'REQUEST_INVALID',
    `The merge method "${name.slice(0, 60)}" is unknown; known are ${known}.`,
    { violations: [{ field: 'recipe.method', description: `one of ${known}` }] },
  );
}
