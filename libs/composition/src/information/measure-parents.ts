import { ThalamusError } from '@thalamus/errors';
import { createRandom } from '@thalamus/tensor';
import { mixSeed, normalised, type TrainingBase } from '@thalamus/training';
import type { OpenedParent } from '../open-parent.js';
import type { OnProgress } from '../progress.js';
import type { TaskRows } from '../task-rows.js';
import { measureInformation, type Information, type InformationSettings } from './measure-information.js';

/**
 * Measures the Fisher information of every parent on rows of its own task, chosen by the seed; rows are in the order of the parents.
 * @throws DATASET_INVALID for a parent without rows
 */
export async function measureParents(
  parents: readonly OpenedParent[],
  rows: readonly TaskRows[],
  settings: InformationSettings,
  { base, seed, onProgress }: { base: TrainingBase; seed: number; onProgress: OnProgress },
): Promise<ReadonlyMap<string, Information>> {
  const judging = new Set(rows.flatMap(({ test }) => test.map(({ text }) => normalised(text))));
  const chosen = rows.map(({ train }, at) => {
    const texts = [...new Set(train.map(({ text }) => text))].filter(
      (text) => !judging.has(normalised(text)),
    );
    return createRandom(mixSeed(seed, at)).shuffle(texts).slice(0, settings.rows);
  });
  const total = chosen.reduce((sum, { length }) => sum + length, 0);
  const measured = new Map<string, Information>();
  let before = 0;
  for (const [at, parent] of parents.entries()) {
    const texts = chosen[at] ?? [];
    if (texts.length === 0)
      throw new ThalamusError(
        'DATASET_INVALID',
        `${parent.name} has no training texts beside those that judge, and its Fisher information is measured on them; register more, or name a file with --data.`,
      );
    const encoded = await base.tokens.encode(texts, base.manifest.maxTokens);
    const information = await measureInformation(parent, {
      ...settings,
      ids: encoded.map(({ ids }) => ids),
      config: base.read.config,
      runtime: base.runtime,
      threads: base.threads,
      seed: mixSeed(seed, at, 1),
      onRow: (done) => onProgress({ stage: 'information', done: before + done, total }),
    });
    before += texts.length;
    measured.set(parent.name, information);
  }
  return measured;
}
