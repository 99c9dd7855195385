// The parents of a reproduction, opened with their rows: what is fitted to, what chooses, what judges.
import { openParent } from '@thalamus/composition';
import { readSet } from '../classifiers/read-set.mjs';
import { fullFineTune, MERGED_TASKS } from '../full/merged-tasks.mjs';
import { readCsv, rowUse } from '@thalamus/training';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SPLIT_RULE } from '../tasks.mjs';

/** Tasks whose texts no other set has the like of: chosen by the router's validation rows, before any test row was read. */
export const DECLARED = [
  'banking77',
  'cuad_clause20',
  'clinical_section20',
  'mmlu_domain14',
  'scicite3',
  'sms_spam',
  'snips7',
];

/** Sorted by the name of the expert, as graphs have them. `folderOf(task)` is the bundle of a task's expert. */
export async function openMergedExperts(base, { data, sets, folderOf, items, chooseItems }) {
  const tasks = MERGED_TASKS.filter(({ set }) => sets.includes(set)).sort((a, b) =>
    a.expert < b.expert ? -1 : 1,
  );
  const opened = [];
  for (const task of tasks) {
    const parts = readSet(data, task.set);
    const rows = readCsv(readFileSync(join(data, `${task.set}.train.csv`)), task.set);
    const isTraining = ({ text }) => rowUse(text, SPLIT_RULE) !== 'validation';
    opened.push({
      task: task.set,
      parent: await openParent(folderOf(task), base),
      train: rows.filter(isTraining).map(({ text }) => text),
      validation: parts.validation,
      choose: sample(parts.validation, chooseItems),
      test: sample(parts.test, items),
    });
  }
  return opened;
}

export const fullFolder = (seed) => (task) => fullFineTune(task.set, seed);

/** The rows whose texts have the smallest hashes. */
function sample(rows, count) {
  const hash = ({ text }) => createHash('sha256').update(text).digest('hex');
  return rows
    .map((row) => [hash(row), row])
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, count)
    .map(([, row]) => row);
}
