import { openBundle, type ExpertManifest } from '@thalamus/bundle';
import {
  readMaskedLm,
  requireMask,
  splitTexts,
  textWindows,
  trainMaskedLmExpert,
  type HyperParameters,
  type TextLine,
} from '@thalamus/training';
import { basename, resolve } from 'node:path';
import { createOutput } from '../output.js';
import { localTools, openLocalBase } from '../training/local-tools.js';
import { localRun, requireFree } from '../training/local-run.js';
import { readLinesOf } from '../training/read-lines.js';

/** Options of `experts train --out` for a file of texts. */
export interface TextTrainOptions {
  readonly json: boolean;
  readonly out: string;
  readonly name: string;
  readonly data: string;
  readonly test?: string | undefined;
  readonly base?: string | undefined;
  /** Folder of the masked language model that the training begins with. */
  readonly from?: string | undefined;
  readonly licence: string;
  readonly origin: string;
  readonly seed: number;
  readonly description?: string | undefined;
  readonly settings: HyperParameters;
  readonly threads?: number | undefined;
  readonly restart: boolean;
  readonly checkpointMinutes: number;
}

/**
 * Trains a masked language model on the texts of a JSONL file and writes its bundle to a folder; no mesh is needed.
 * @throws DATASET_INVALID, TRAINING_DIVERGED, ARTIFACT_STORE_FULL, CONFIG_INVALID
 */
export async function trainTextsLocal(options: TextTrainOptions): Promise<void> {
  const out = resolve(options.out);
  await requireFree(out);
  const { settings, seed, licence, origin, name } = options;
  const test = options.test === undefined ? undefined : readLinesOf(options.test);
  const parts = splitTexts(readLinesOf(options.data), test, seed);
  const tools = localTools(options.threads);
  try {
    const base = await openLocalBase(options.base, tools);
    const vocabulary = requireMask(base);
    const began = options.from === undefined ? undefined : await openBundle(options.from);
    const dataset = basename(options.data);
    const done = await localRun({ ...options, out }, async (hooks) => {
      hooks.onProgress?.({ stage: 'tokenising', done: 0, total: 1 });
      const windows = (lines: readonly TextLine[]) => textWindows(base, lines, settings.maxTokens);
      return trainMaskedLmExpert(
        {
          base,
          vocabulary,
          train: await windows(parts.train),
          validation: await windows(parts.validation),
          test: await windows(parts.test),
          start: began && (await readMaskedLm(began, base)),
          settings,
          seed,
          facts: {
            name,
            version: '1',
            description: options.description ?? `Fills masked words in ${name}.`,
            licence,
            trainingData: [{ name: dataset, licence, origin, rows: parts.train.length }],
            seed,
            date: new Date().toISOString().slice(0, 10),
            ...(began
              ? {
                  startedFrom: {
                    name: began.manifest.name,
                    version: began.manifest.version,
                    digest: began.digest,
                  },
                }
              : {}),
          },
          datasets: {
            validation: dataset,
            test: options.test === undefined ? dataset : basename(options.test),
          },
        },
        hooks,
      );
    });
    if (done) report(options, out, done.digest, done.result.manifest);
  } finally {
    await tools.runtime.close();
  }
}

function report(
  { json, out: given }: TextTrainOptions,
  out: string,
  digest: string,
  manifest: Omit<ExpertManifest, 'files'>,
): void {
  const { name, kind, task, evaluation } = manifest;
  createOutput(json).answer({ expert: name, kind, task, folder: out, digest, evaluation }, () => [
    `${out}: ${name}, ${kind}, ${task}.`,
    ...evaluation.map(
      ({ dataset, split, metric, value, n }) =>
        `  ${split.padEnd(10)} ${metric.padEnd(17)} ${value.toFixed(4)}  (${dataset}, ${n} word pieces)`,
    ),
    '',
    `  npx thalamus experts show ${given}`,
  ]);
}
