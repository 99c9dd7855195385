import { hash } from 'node:crypto';
import { ANONYMOUS, type RequestScope } from './caller.js';

const BYTES = 6;

/**
 * Whom a request counts for when a release is given to some callers: its conversation when it has one, else the key that makes it.
 * Callers without a key cannot be told apart, so each of their requests counts for itself; texts of one request count together.
 */
export function subjectOf({ caller, requestId, conversation }: ReleaseScope): string {
  // Neither tenants nor ids have a line break.
  if (conversation !== undefined) return `conversation\n${caller.tenant}\n${conversation}`;
  if (caller.id === ANONYMOUS) return `request\n${caller.tenant}\n${requestId.split('/', 1).join()}`;
  return `key\n${caller.tenant}\n${caller.id}`;
}

/** What of a scope decides to which version a request goes. */
export type ReleaseScope = Pick<RequestScope, 'caller' | 'requestId' | 'conversation'>;

/**
 * Place of a subject in a release, from 0 to below 1: those below the weight get the candidate. It stays as long as the release does,
 * so that a greater weight only adds subjects, and each release mixes them anew.
 */
export function placeOf(releaseId: string, subject: string): number {
  return hash('sha256', `${releaseId}\n${subject}`, 'buffer').readUIntBE(0, BYTES) / 2 ** (8 * BYTES);
}
