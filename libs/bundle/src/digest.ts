import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { ThalamusError } from '@thalamus/errors';

/** Identity of immutable bytes: `sha256:` and 64 lower-case hex digits. */
export type Digest = `sha256:${string}`;

/** What is read of a file at once. */
const PIECE_BYTES = 256 * 1024;

/** Shape of a digest. */
export const DIGEST_PATTERN = /^sha256:[0-9a-f]{64}$/;

/** SHA-256 of bytes as 64 lower-case hex digits. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Digest of bytes in memory; a string is hashed as UTF-8. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${sha256Hex(bytes)}`;
}

/** SHA-256 of a file as 64 lower-case hex digits, read piece by piece into one buffer: a model leaves nothing behind. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, PIECE_BYTES);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

/** True for a well-formed digest. */
export function isDigest(text: string): text is Digest {
  return DIGEST_PATTERN.test(text);
}

/** A digest from text. REQUEST_INVALID when it is not `sha256:` and 64 lower-case hex digits. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new ThalamusError(
    'REQUEST_INVALID',
    `"${text.slice(0, 100)}" is not a digest; write sha256: and 64 lower-case hex digits.`,
    { metadata: { digest: text.slice(0, 100) } },
  );
}

/** The 64 hex digits of a digest. */
export function digestHex(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
