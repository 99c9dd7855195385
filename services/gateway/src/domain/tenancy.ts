import { ThalamusError } from '@thalamus/errors';
import type { Caller } from './caller.js';

/** The tenant whose operators and administrators run the mesh for all tenants; those of others manage what is their own. */
export const MESH_TENANT = 'default';

/** Whether the caller may manage what belongs to several tenants or to another one. */
export function runsMesh({ tenant }: Caller): boolean {
  return tenant === MESH_TENANT;
}

/** Whether the caller may manage what belongs to one tenant. */
export function managesTenant(caller: Caller, tenant: string): boolean {
  return runsMesh(caller) || caller.tenant === tenant;
}

/** Whether the caller may change an expert that these tenants use; none means that all do. */
export function managesExpert(caller: Caller, tenants: readonly string[]): boolean {
  return runsMesh(caller) || (tenants.length === 1 && tenants[0] === caller.tenant);
}

/** A refusal that says who may do it. */
export function notYours(what: string, { tenant }: Caller): ThalamusError {
  return new ThalamusError(
    'PERMISSION_DENIED',
    `${what} is not the tenant ${tenant}'s alone; keys of the tenant ${MESH_TENANT} can change it.`,
  );
}
