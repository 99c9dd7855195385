import { ThalamusError } from '@thalamus/errors';
import { MAX_PROMPTS_FILE_BYTES } from '@thalamus/training';
import { readFileSync, statSync } from 'node:fs';

/** Bytes of a file of prompts. @throws DATASET_INVALID for a file that cannot be read or is too large */
export function readPrompts(path: string): Uint8Array {
  try {
    const { size } = statSync(path);
    if (size <= MAX_PROMPTS_FILE_BYTES) return readFileSync(path);
    throw new ThalamusError(
      'DATASET_INVALID',
      `${path} has ${size} bytes; at most ${MAX_PROMPTS_FILE_BYTES} are taken: measure it in parts.`,
    );
  } catch (cause) {
    if (ThalamusError.is(cause)) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown fault';
    throw new ThalamusError(
      'DATASET_INVALID',
      `${path} cannot be read (${code}); name a file of prompts with --prompts.`,
      { cause },
    );
  }
}
