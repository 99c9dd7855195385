import { readCsv, type LabelledText } from '@thalamus/training';
import { readFile } from 'node:fs/promises';
import type { DataFile, TaskParent } from './composition-task.js';

/** Rows of each parent that answers are compared on when it has no test split. */
const MAX_UNLABELLED = 200;

/** Rows of all files, in their order. @throws DATASET_INVALID */
export async function readRows(files: readonly DataFile[]): Promise<LabelledText[]> {
  const read = await Promise.all(
    files.map(async ({ path, dataset }) => readCsv(await readFile(path), dataset)),
  );
  return read.flat();
}

/** Rows of the task of a parent. */
export interface TaskRows {
  readonly train: readonly LabelledText[];
  /** Nothing is fitted to these texts or measured on them, whose task they ever are. */
  readonly test: readonly LabelledText[];
}

/** Rows of parents, in their order. @throws DATASET_INVALID */
export function readTaskRows(
  parents: readonly Pick<TaskParent, 'train' | 'test'>[],
): Promise<readonly TaskRows[]> {
  const both = async ({ train, test }: Pick<TaskParent, 'train' | 'test'>) => ({
    train: await readRows(train),
    test: await readRows(test),
  });
  return Promise.all(parents.map(both));
}

/** Texts to compare answers on; what they say of accuracy would flatter, so the labels are left out. */
export function unlabelled(rows: readonly LabelledText[]): LabelledText[] {
  return rows.slice(0, MAX_UNLABELLED).map(({ text }) => ({ text, label: '' }));
}
