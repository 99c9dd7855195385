import type { FileComparison } from '@thalamus/compatibility';
import { ThalamusError } from '@thalamus/errors';
import { closeSync, existsSync, openSync, readSync } from 'node:fs';

/** Bytes that are read at a time. */
const PIECE = 2 ** 20;
/** Largest file of predictions that is fetched from a mesh. */
const MAX_STORED_BYTES = 2 ** 30;

/** Largest file that is read whole. */
const MAX_WHOLE_BYTES = 2 ** 28;

/** Which prediction files are compared: paths, or digests of what the mesh of a data folder keeps. */
export interface PredictionSources {
  readonly before: string;
  readonly after: string;
  /** Data folder of the mesh. */
  readonly data: string;
}

/** Reads both files into a comparison. @throws DATASET_INVALID, ARTIFACT_NOT_FOUND, UPSTREAM_UNAVAILABLE without a mesh for a digest */
export async function readInto(comparison: FileComparison, sources: PredictionSources): Promise<void> {
  await readPieces(sources.before, sources.data, (bytes) => comparison.before(bytes));
  comparison.endBefore();
  await readPieces(sources.after, sources.data, (bytes) => comparison.after(bytes));
}

/** A whole file of predictions as text. @throws DATASET_INVALID, ARTIFACT_NOT_FOUND, UPSTREAM_UNAVAILABLE as `readInto` does; one that is too large */
export async function readPredictions(source: string, data: string): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  let bytes = 0;
  const refuse = (what: string) => new ThalamusError('DATASET_INVALID', `${source} ${what}`);
  const decode = (piece?: Uint8Array) => {
    try {
      return piece ? decoder.decode(piece, { stream: true }) : decoder.decode();
    } catch {
      throw refuse(`is not UTF-8 on line ${text.split('\n').length} or after it.`);
    }
  };
  await readPieces(source, data, (piece) => {
    bytes += piece.byteLength;
    if (bytes > MAX_WHOLE_BYTES) throw refuse(`is larger than ${MAX_WHOLE_BYTES} bytes; give fewer prompts.`);
    text += decode(piece);
  });
  return text + decode();
}

async function readPieces(source: string, data: string, take: (bytes: Uint8Array) => void): Promise<void> {
  const stored = existsSync(source) ? undefined : await readStored(source, data);
  if (stored) take(stored);
  else readFile(source, take);
}

/** What a mesh keeps under a digest; undefined for what is none. Only a digest needs the mesh, and what speaks to it is slow to load. */
async function readStored(source: string, data: string): Promise<Uint8Array | undefined> {
  const { isDigest, parseDigest, readArtifact } = await import('@thalamus/bundle');
  if (!isDigest(source)) return undefined;
  const { withArtifacts } = await import('../registry-client.js');
  return withArtifacts({ data }, (store) => readArtifact(store, parseDigest(source), MAX_STORED_BYTES));
}

function readFile(path: string, take: (bytes: Uint8Array) => void): void {
  const buffer = Buffer.allocUnsafe(PIECE);
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    for (;;) {
      const length = readSync(file, buffer, 0, PIECE, null);
      if (length === 0) return;
      take(buffer.subarray(0, length));
    }
  } catch (cause) {
    if (ThalamusError.is(cause)) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown fault';
    throw new ThalamusError(
      'DATASET_INVALID',
      `${path} cannot be read (${code}); name a JSONL file of predictions.`,
      { cause },
    );
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
