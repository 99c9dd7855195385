import { MAX_PROBE_BYTES, probesIn } from '@thalamus/compatibility';
import { ThalamusError } from '@thalamus/errors';
import { closeSync, openSync, readSync } from 'node:fs';

/** Largest gate, file of figures or comparison of this machine, bytes. */
const MAX_TEXT_BYTES = 64 * 2 ** 20;
/** Bytes that are read at a time. */
const PIECE = 2 ** 16;

/** A text file. @throws CONFIG_INVALID that names it */
export function readText(path: string): string {
  const bytes = readUpTo(path, MAX_TEXT_BYTES);
  if (bytes.byteLength <= MAX_TEXT_BYTES) return bytes.toString('utf8');
  throw new ThalamusError('CONFIG_INVALID', `${path} is larger than ${MAX_TEXT_BYTES / 2 ** 20} MiB.`);
}

/**
 * The bytes of a file of labelled probes, looked at before anything is stored. They are read once, so that what is stored is what was looked at.
 * @throws CONFIG_INVALID, REQUEST_TOO_LARGE, DATASET_INVALID by file and line
 */
export function readProbes(path: string): Uint8Array {
  const bytes = readUpTo(path, MAX_PROBE_BYTES);
  probesIn(bytes, path);
  return bytes;
}

/** A file, or a byte more of it than it may have: a device has no end. @throws CONFIG_INVALID that names it */
function readUpTo(path: string, most: number): Buffer {
  const pieces: Buffer[] = [];
  let left = most + 1;
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    while (left > 0) {
      const piece = Buffer.allocUnsafe(Math.min(PIECE, left));
      const length = readSync(file, piece, 0, piece.length, null);
      if (length === 0) break;
      pieces.push(piece.subarray(0, length));
      left -= length;
    }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown fault';
    throw new ThalamusError('CONFIG_INVALID', `${path} cannot be read (${code}); name a file that can.`, {
      cause,
    });
  } finally {
    if (file !== undefined) closeSync(file);
  }
  return Buffer.concat(pieces);
}
