import { ThalamusError } from '@thalamus/errors';
import { createHash } from 'node:crypto';

/** Name of immutable bytes: `sha256:` and 64 hex digits. */
export type Digest = `sha256:${string}`;

const FORM = /^sha256:[0-9a-f]{64}$/;

/** Digest of bytes. */
export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Checks the form of a digest. @throws REQUEST_INVALID when it is not sha256:<64 hex digits>. */
export function parseDigest(text: string): Digest {
  if (!FORM.test(text)) {
    throw new ThalamusError(
      'REQUEST_INVALID',
      `"${text}" is not a digest; write sha256: and 64 lower-case hex digits.`,
    );
  }
  return text as Digest;
}
