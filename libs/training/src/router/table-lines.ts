import { ThalamusError } from '@thalamus/errors';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { z } from 'zod';

/** Longest line, characters; a prompt of a megabyte fits. */
export const MAX_LINE_CHARACTERS = 8 * 2 ** 20;
/** Largest table once it is unpacked. */
export const MAX_TABLE_BYTES = 2 * 2 ** 30;

/** Limits of reading. */
export interface LineLimits {
  readonly maxLineCharacters?: number;
  readonly maxBytes?: number;
}

/** A line with its number, from 1. */
export interface NumberedLine {
  readonly text: string;
  readonly number: number;
}

/**
 * Lines of a file, packed by gzip or plain, one at a time; only `\n` ends a line, since prompts hold other separators. What is
 * read is bounded. The generator returns the SHA-256 of the unpacked bytes, in hex.
 * @throws DATASET_INVALID that names file, line and fault
 */
export async function* tableLines(
  path: string,
  limits: LineLimits = {},
): AsyncGenerator<NumberedLine, string, undefined> {
  const { maxLineCharacters = MAX_LINE_CHARACTERS, maxBytes = MAX_TABLE_BYTES } = limits;
  const hash = createHash('sha256');
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  let number = 0;
  let bytes = 0;
  try {
    for await (const chunk of await unpacked(path)) {
      bytes += (chunk as Uint8Array).byteLength;
      if (bytes > maxBytes) throw tableFault(path, number + 1, `lies beyond the limit of ${maxBytes} bytes`);
      hash.update(chunk as Uint8Array);
      const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const text of lines) yield { text, number: ++number };
      if (rest.length > maxLineCharacters)
        throw tableFault(path, number + 1, `is longer than ${maxLineCharacters} characters`);
    }
    rest += decoder.decode();
  } catch (cause) {
    if (ThalamusError.is(cause)) throw cause;
    throw readFault(path, number + 1, cause);
  }
  if (rest !== '') yield { text: rest, number: number + 1 };
  return hash.digest('hex');
}

/** What a line of JSON holds. @throws DATASET_INVALID that names file, line and fault */
export function parseLine<T>(schema: z.ZodType<T>, { text, number }: NumberedLine, path: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const reason = /\bNaN\b|\bInfinity\b/.test(text)
      ? 'holds NaN or Infinity, which JSON has no word for; write null for no result'
      : 'is not JSON';
    throw tableFault(path, number, reason, cause);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw tableFault(
    path,
    number,
    `is wrong at ${issue?.path.join('.') || 'its top'}: ${issue?.message ?? ''}`,
  );
}

/** A fault of a table, with its line. */
export function tableFault(path: string, line: number, reason: string, cause?: unknown): ThalamusError {
  return new ThalamusError(
    'DATASET_INVALID',
    `${path}: line ${line} ${reason}. Mend the line, or make the table again.`,
    { cause },
  );
}

function readFault(path: string, line: number, cause: unknown): ThalamusError {
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return tableFault(path, line, 'is not UTF-8', cause);
  if (code.startsWith('Z_'))
    return tableFault(path, line, `is where the gzip file ends or breaks (${code})`, cause);
  return new ThalamusError(
    'DATASET_INVALID',
    `${path} cannot be read (${code || 'unknown fault'}); name a routing table, such as table.jsonl.gz.`,
    { cause },
  );
}

/** Bytes of a file, unpacked where it begins like a gzip file. */
async function unpacked(path: string): Promise<Readable> {
  const file = createReadStream(path);
  const first = await firstBytes(file);
  file.unshift(first);
  if (first[0] !== 0x1f || first[1] !== 0x8b) return file;
  const gunzip = createGunzip();
  file.on('error', (fault) => gunzip.destroy(fault));
  return file.pipe(gunzip);
}

function firstBytes(file: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    file.once('error', reject);
    file.once('end', () => resolve(Buffer.alloc(0)));
    file.once('readable', () => {
      const chunk = file.read() as Buffer | null;
      file.removeListener('error', reject);
      resolve(chunk ?? Buffer.alloc(0));
    });
  });
}
