import { ThalamusError } from '@thalamus/errors';
import { embedTexts, writeWhole, type EmbeddedTexts, type TrainingBase } from '@thalamus/training';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../exclusive-file.js';

/** Vectors of texts by the graph of a base. */
export type Embed = (texts: readonly string[], onBatch: (done: number) => void) => Promise<EmbeddedTexts>;

/**
 * Embeds texts of a table by way of a folder: the first time all texts of the table are embedded and their vectors kept there,
 * named for the base and the texts; later they are read. Undefined without a folder.
 * @throws CONFIG_INVALID when the folder cannot be made
 */
export function keptVectors(
  folder: string | undefined,
  base: TrainingBase,
  all: readonly string[],
): Embed | undefined {
  if (folder === undefined) return undefined;
  return async (texts, onBatch) => {
    const path = join(folder, `${nameOf(base, all)}.f32`);
    const width = widthOf(base);
    const kept = readVectors(path, all.length * width) ?? (await embedAll(path, folder));
    const rowOf = new Map(all.map((text, row) => [text, row]));
    const features = new Float32Array(texts.length * width);
    texts.forEach((text, at) => {
      const row = rowOf.get(text);
      if (row !== undefined) features.set(kept.subarray(row * width, (row + 1) * width), at * width);
    });
    return { features, width };

    async function embedAll(target: string, place: string): Promise<Float32Array> {
      makeVectorFolder(place);
      const { features: embedded } = await embedTexts(base.encoder, all, {
        onBatch: (done) => onBatch(Math.floor((done * texts.length) / all.length)),
      });
      await writeWhole(target, new Uint8Array(embedded.buffer, embedded.byteOffset, embedded.byteLength));
      return embedded;
    }
  };
}

function widthOf({ read }: TrainingBase): number {
  return read.config.hiddenSize;
}

function nameOf({ digest }: TrainingBase, texts: readonly string[]): string {
  const hash = createHash('sha256').update(digest);
  for (const text of texts) hash.update(`\n${text.length}\n`).update(text);
  return hash.digest('hex').slice(0, 32);
}

/** Undefined when nothing is kept, or something else. */
function readVectors(path: string, count: number): Float32Array | undefined {
  if (!existsSync(path)) return undefined;
  const bytes = Uint8Array.from(readFileSync(path));
  return bytes.byteLength === 4 * count ? new Float32Array(bytes.buffer) : undefined;
}

function makeVectorFolder(folder: string): void {
  try {
    makeFolder(folder);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown fault';
    throw new ThalamusError(
      'CONFIG_INVALID',
      `${folder} cannot be made (${code}); name another with --vectors.`,
      { cause },
    );
  }
}
