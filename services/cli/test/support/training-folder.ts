import { writePicoBase } from '@thalamus/testing';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder with a tiny base and rows for it, where commands run. */
export interface TrainingFolder {
  readonly path: string;
  at(name: string): string;
  /** Writes a file and gives its name. */
  write(name: string, content: string | Uint8Array): Promise<string>;
  /** Everything below the folder, sorted. */
  list(): Promise<string[]>;
  remove(): Promise<void>;
}

/** Makes the folder: `base`, `other` (same shape, other weights), `rows.csv` and `test.csv`. */
export async function trainingFolder(): Promise<TrainingFolder> {
  const path = await mkdtemp(join(tmpdir(), 'thalamus-verbs-'));
  const at = (name: string) => join(path, name);
  const write = async (name: string, content: string | Uint8Array) => {
    await writeFile(at(name), content);
    return name;
  };
  await writePicoBase(at('base'), { name: 'pico' });
  await writePicoBase(at('other'), { name: 'pico', seed: 9 });
  await write('rows.csv', orderRows(160, 1));
  await write('test.csv', orderRows(200, 2));
  return {
    path,
    at,
    write,
    list: async () => (await readdir(path, { recursive: true })).sort(),
    remove: () => rm(path, { recursive: true, force: true }),
  };
}

const FILLERS = ['the', 'my', 'please', 'it', 'hello', 'world', 'money', 'block'];

/** Rows of two labels, which the order of two words tells apart; others for another seed, 1 or 2. */
export function orderRows(count: number, seed: 1 | 2): string {
  const rows = Array.from({ length: count }, (_, index) => {
    const filler = (place: number) => FILLERS[(index * 7 + place * 3 + seed) % FILLERS.length]!;
    const [first, second, label] =
      (index * index + seed) % 5 < 2 ? ['card', 'law', 'one'] : ['law', 'card', 'two'];
    return `${filler(0)} ${first} ${filler(1)} ${second} ${filler(2)} ${index},${label}\n`;
  });
  return `text,label\n${rows.join('')}`;
}
