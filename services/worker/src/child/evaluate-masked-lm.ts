import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  JUDGING_WINDOW_TOKENS,
  MASKED_LOG_LOSS,
  measureMaskedLm,
  openMaskedLm,
  requireMask,
  textWindows,
} from '@thalamus/training';
import { writeFileSync } from 'node:fs';
import type { JobWork, WorkResult } from '../application/job-process.port.js';
import { openBaseOf } from './open-base.js';
import { readLines } from './read-rows.js';
import type { WorkReporter } from './work-reporter.js';

/** Measures a masked language model on texts, under masks that are the same for every model, and writes the sums of each window. */
export async function evaluateMaskedLm(
  work: Extract<JobWork, { kind: 'evaluate' }>,
  expert: OpenedBundle<ExpertManifest>,
  reporter: WorkReporter,
): Promise<WorkResult> {
  const { data, split, baseFolder, common, date } = work;
  const { name } = expert.manifest;
  if (common.ignoredColumns.length > 0)
    throw new ThalamusError(
      'REQUEST_INVALID',
      `${name} fills masked words: it is measured on texts, which have no columns; leave ignoredColumns away.`,
    );
  const { lines } = readLines(data);
  if (baseFolder === undefined)
    throw new ThalamusError('INTERNAL', `No base was given to measure ${name} with.`);
  const base = await openBaseOf(baseFolder, common.threads);
  const windows = await textWindows(base, lines, JUDGING_WINDOW_TOKENS);
  const model = await openMaskedLm(expert, base, requireMask(base));
  reporter.step('measuring', 0, windows.length);
  const { pieces, loss, file } = await measureMaskedLm(model, windows, (done) => {
    reporter.step('measuring', done, windows.length);
  });
  writeFileSync(work.predictionsFile, file);
  return {
    labels: 0,
    rows: { [split]: lines.length },
    evaluation: [
      { dataset: data.name, split, metric: MASKED_LOG_LOSS, value: loss, n: Math.max(1, pieces), date },
    ],
  };
}
