import type { ExpertManifest } from '@thalamus/bundle';
import type { DataFile } from '@thalamus/composition';
import { ThalamusError } from '@thalamus/errors';
import {
  readDataset,
  readTextLines,
  requireLabels,
  type LabelledText,
  type TextLine,
} from '@thalamus/training';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { NO_LICENCE_STATED } from '../jobs/no-licence-stated.js';
import { readZoo, zooFolder } from '../mesh/zoo-index.js';
import { readData } from '../training/read-rows.js';

/** Which rows of a task: those that a router is fitted on, or those that judge. */
export type Split = 'train' | 'test';

/** Parts of the zoo's samples by what they are for. Whose task a text is can be learned of rows that an expert was trained on, too. */
const PARTS = { train: ['train', 'router'], test: ['test'] } as const;

/** A file that an option names for a task. */
export interface TaskFile {
  /** Name of a parent, or of its data set. */
  readonly task: string;
  readonly path: string;
}

/** A parent with what its rows are found by. */
export interface TaskOwner {
  readonly name: string;
  readonly manifest: Pick<ExpertManifest, 'task' | 'trainingData' | 'labels'>;
}

/** What a file of a parent's rows is called in messages. */
export const fileOf = ({ manifest: { task } }: TaskOwner): string =>
  task === 'fill-mask' ? 'FILE.jsonl' : 'FILE.csv';

/** `TASK=FILE`. @throws CONFIG_INVALID */
export function taskFile(option: string, text: string): TaskFile {
  const at = text.indexOf('=');
  if (at > 0 && at < text.length - 1) return { task: text.slice(0, at), path: text.slice(at + 1) };
  throw new ThalamusError(
    'CONFIG_INVALID',
    `${option} ${text}: write TASK=FILE, TASK being the name of a parent or of its data set: a CSV with text and label, or JSONL with text of a masked language model.`,
  );
}

/** Files that options name, by parent. @throws CONFIG_INVALID for a task that no parent has */
export function filesByParent(
  option: string,
  given: readonly string[],
  parents: readonly TaskOwner[],
): ReadonlyMap<string, readonly TaskFile[]> {
  const result = new Map<string, TaskFile[]>();
  for (const text of given) {
    const file = taskFile(option, text);
    const named = parents.filter(({ name }) => name === file.task);
    const owners =
      named.length > 0 ? named : parents.filter((parent) => dataSets(parent).includes(file.task));
    if (owners.length === 0)
      throw new ThalamusError(
        'CONFIG_INVALID',
        `${option} ${text}: no parent is called ${file.task} or was trained on it; the tasks are ${parents.map(({ name }) => name).join(', ')}.`,
      );
    for (const { name } of owners) result.set(name, [...(result.get(name) ?? []), file]);
  }
  return result;
}

/** Files of a parent's rows: those that are given, else the samples of the zoo for its data sets. */
export function dataFiles(
  parent: TaskOwner,
  split: Split,
  given: ReadonlyMap<string, readonly TaskFile[]>,
): DataFile[] {
  const own = given.get(parent.name);
  if (own)
    return own.map(({ path }) => ({
      dataset: basename(path),
      path,
      licence: NO_LICENCE_STATED,
      origin: 'not stated',
    }));
  return zooSamples(dataSets(parent), split);
}

/** Rows of files. With `owner` each label must be one of its own. @throws DATASET_INVALID that names file, line and cure */
export function readTaskRows(files: readonly DataFile[], owner?: TaskOwner): LabelledText[] {
  return files.flatMap(({ path }) => {
    const rows = readDataset(readData(path), path, { ignoredColumns: 'all' });
    if (owner) requireLabels({ file: path, rows }, new Set(owner.manifest.labels), owner.name);
    return rows;
  });
}

/** Texts of files of a masked language model's domain. @throws DATASET_INVALID that names file, line and cure */
export function readDomainLines(files: readonly DataFile[]): TextLine[] {
  return files.flatMap(({ path }) => readTextLines(readData(path), path));
}

/** Reads files as composing will, so that faults are told before any work. @throws DATASET_INVALID */
export function checkTaskFiles(files: readonly DataFile[], owner: TaskOwner, split: Split): void {
  if (owner.manifest.task === 'fill-mask') readDomainLines(files);
  else readTaskRows(files, split === 'test' ? owner : undefined);
}

/** Names of the data sets that a parent was trained on. */
export function dataSets({ manifest }: TaskOwner): string[] {
  return manifest.trainingData.map(({ name }) => name);
}

function zooSamples(sets: readonly string[], split: Split): DataFile[] {
  const zoo = zooFolder();
  if (!existsSync(join(zoo, 'zoo.json'))) return [];
  const { experts, languageModels } = readZoo(zoo);
  return [...experts, ...languageModels].flatMap(({ sample }) => {
    if (!sample) return [];
    const dataset = basename(sample.test).replace(/\.test\.(csv|jsonl)$/, '');
    if (!sets.includes(dataset)) return [];
    const { licence, origin } = sample;
    return PARTS[split].flatMap((part) => {
      const path = (sample as Partial<Record<string, string>>)[part];
      return path === undefined ? [] : [{ dataset, path: join(zoo, path), licence, origin }];
    });
  });
}
