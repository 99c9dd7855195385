import type { ErrorCode, ThalamusError } from '@thalamus/errors';

/** Codes by which a composition cannot be made however often it is asked for: callers are told, and nobody answers in its place. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'COMPOSITION_REFUSED',
  'EXPERT_NOT_FOUND',
  'REQUEST_INVALID',
  'SIGNATURE_REFUSED',
]);

/** Whether the parents, not the moment, are what stands in the way. */
export function isRefusal({ code }: ThalamusError): boolean {
  return REFUSALS.has(code);
}
