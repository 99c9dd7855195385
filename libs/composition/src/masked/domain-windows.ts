import { ThalamusError } from '@thalamus/errors';
import type { RouterRow } from '@thalamus/model-merge';
import { createRandom } from '@thalamus/tensor';
import {
  JUDGING_MASKS,
  JUDGING_WINDOW_TOKENS,
  maskTokens,
  mixSeed,
  normalised,
  readTextLines,
  textWindows,
  type MaskVocabulary,
  type TextLine,
  type TrainingBase,
  type Windows,
} from '@thalamus/training';
import { readFile } from 'node:fs/promises';
import type { DataFile } from '../composition-task.js';

/** Texts of a parent's domain. */
export interface DomainLines {
  readonly name: string;
  readonly train: readonly TextLine[];
  readonly test: readonly TextLine[];
}

/** The same as windows of token ids. */
export interface DomainWindows {
  readonly name: string;
  /** Windows that the router is fitted to. */
  readonly train: Windows;
  /** Windows of other lines, which choose. */
  readonly validation: Windows;
  /** Windows that judge; nothing is fitted to them or chosen by them. */
  readonly test: Windows;
}

/** Share of the training lines that choose. */
const HELD_OUT = 0.15;
const LEAST_WINDOWS = 20;

/** Texts of all files, in their order. @throws DATASET_INVALID */
export async function readLines(files: readonly DataFile[]): Promise<TextLine[]> {
  const read = await Promise.all(
    files.map(async ({ path, dataset }) => readTextLines(await readFile(path), dataset)),
  );
  return read.flat();
}

/**
 * Cuts the texts of all domains into windows as masked language models are judged on. Lines that are test texts of any domain, in
 * whatever case and spacing, are never fitted to, and windows that choose are of other lines than those that are fitted to.
 * @throws DATASET_INVALID for a domain with too little text
 */
export async function cutDomains(
  domains: readonly DomainLines[],
  base: TrainingBase,
  { most, seed }: { readonly most: number; readonly seed: number },
): Promise<DomainWindows[]> {
  const judged = new Set(domains.flatMap(({ test }) => test.map(({ text }) => normalised(text))));
  const result: DomainWindows[] = [];
  for (const [at, { name, train, test }] of domains.entries()) {
    const own = new Map(train.map((line) => [normalised(line.text), line]));
    const free = [...own].filter(([key]) => !judged.has(key)).map(([, line]) => line);
    const lines = createRandom(seed + at + 1).shuffle(free);
    const cut = Math.ceil(HELD_OUT * lines.length);
    const windows = (of: readonly TextLine[]) => textWindows(base, of, JUDGING_WINDOW_TOKENS);
    const [validation, fitted] = [await windows(lines.slice(0, cut)), await windows(lines.slice(cut))];
    if (fitted.length < LEAST_WINDOWS || validation.length === 0)
      throw new ThalamusError(
        'DATASET_INVALID',
        `${name} has ${fitted.length} windows of ${JUDGING_WINDOW_TOKENS} tokens in ${lines.length} texts that are in no test split; a router needs ${LEAST_WINDOWS} of each parent beside one text that chooses. Register more, or name a file with --data.`,
      );
    result.push({ name, train: fitted.slice(0, most), validation, test: await windows(test) });
  }
  return result;
}

/**
 * Rows of a router, as texts come to it: windows with a quarter of their words hidden; those that it is fitted to stand there whole
 * besides, since a text may hold a single mask.
 */
export function routerRows(
  domains: readonly DomainWindows[],
  part: 'train' | 'validation',
  vocabulary: MaskVocabulary,
  seed: number,
): RouterRow[] {
  return domains.flatMap((domain, parent) =>
    domain[part].flatMap((ids, at) => {
      const hidden = maskTokens(ids, vocabulary, {
        share: JUDGING_MASKS.share,
        seed: mixSeed(seed, 4, parent, at),
        always: true,
      });
      const row = { parent, ids: hidden.ids };
      return part === 'train' ? [row, { parent, ids }] : [row];
    }),
  );
}

/** At most `count` of the items, evenly spaced. */
export function spread<T>(items: readonly T[], count: number): readonly T[] {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, at) => items[Math.floor((at * items.length) / count)]!);
}
