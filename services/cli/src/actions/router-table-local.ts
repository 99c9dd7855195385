import { openBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  lossTableFile,
  measureTable,
  PartialTable,
  readMeasuredPrompts,
  MASK_SHARE,
  MASKED_PROMPT_TOKENS,
  MAX_PROMPTS_FILE_BYTES,
  requireOneBase,
  runDigest,
  sharedTask,
  writeWhole,
  type MeasuredBundle,
  type MeasuredPrompt,
  type MeasuredTable,
  type TableRun,
} from '@thalamus/training';
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { EXIT } from '../exit-codes.js';
import { InterruptCounter } from '../interrupt-counter.js';
import { onInterrupt } from '../interruption.js';
import { createOutput } from '../output.js';
import { tableAnswer, tableLines } from '../router/table-answer.js';
import { TablePlace } from '../router/table-place.js';
import { localTools, openLocalBase } from '../training/local-tools.js';
import { RunView } from '../training/run-view.js';

/** Options of `router table`. */
export interface RouterTableOptions {
  readonly experts: readonly string[];
  readonly prompts: string;
  readonly out: string;
  readonly masks: number;
  readonly seed: number;
  readonly set?: string;
  readonly licence: string;
  readonly origin: string;
  readonly base?: string;
  readonly threads?: number;
  readonly restart: boolean;
  readonly json: boolean;
}

/**
 * Measures the experts of folders on prompts in this process and writes the table. Everything is checked before anything runs; what is
 * measured is kept beside the table, so that the same command goes on where it was ended.
 * @throws BUNDLE_INVALID, DATASET_INVALID, CONFIG_INVALID, METHOD_UNSUPPORTED, ARTIFACT_STORE_FULL
 */
export async function routerTableLocal(options: RouterTableOptions): Promise<void> {
  const experts: MeasuredBundle[] = [];
  for (const folder of options.experts) experts.push(await openBundle(folder));
  const run = runOf(options, experts);
  const tools = localTools(options.threads);
  try {
    const base = await openLocalBase(options.base, tools);
    requireOneBase(experts, base);
    const place = TablePlace.take(options.out);
    try {
      if (options.restart) place.clear();
      const kept = PartialTable.open(place.partial, runDigest(run));
      try {
        const startedAt = performance.now();
        const done = await watched(options, place, (signal, view) =>
          measureTable(run, { ...tools, base }, kept, {
            signal,
            onProgress: (count, total) => {
              view.progress({ stage: 'measuring', done: count, total });
            },
          }),
        );
        const seconds = (performance.now() - startedAt) / 1000;
        if (done.kind === 'interrupted') {
          interrupted(options, place);
          return;
        }
        const facts = {
          set: options.set ?? basename(options.prompts),
          licence: options.licence,
          origin: options.origin,
        };
        const file = await lossTableFile(run, (expert, chunk) => kept.get(expert, chunk), facts);
        await writeWhole(place.path, file.bytes);
        place.clear();
        const answer = tableAnswer(run, file, { path: place.path, measured: done.measured, seconds });
        createOutput(options.json).answer(answer, () => tableLines(answer, options.out));
      } finally {
        kept.close();
      }
    } finally {
      place.leave();
    }
  } finally {
    await tools.runtime.close();
  }
}

function runOf(options: RouterTableOptions, experts: readonly MeasuredBundle[]): TableRun {
  const task = sharedTask(experts);
  const prompts = readMeasuredPrompts(readPrompts(options.prompts), options.prompts, task);
  const labels = experts.map(({ manifest }) => manifest.labels ?? []);
  if (task === 'text-classification') requireKnownLabels(prompts, new Set(labels.flat()), options.prompts);
  return {
    task,
    experts,
    prompts,
    labelCount: Math.max(0, ...labels.map(({ length }) => length)),
    masking: {
      masks: options.masks,
      share: MASK_SHARE,
      maxTokens: MASKED_PROMPT_TOKENS,
      seed: options.seed,
    },
  };
}

/** @throws DATASET_INVALID when no prompt has a label that an expert knows: then the table compares nothing */
function requireKnownLabels(
  prompts: readonly MeasuredPrompt[],
  known: ReadonlySet<string>,
  file: string,
): void {
  if (prompts.some(({ label }) => known.has(label ?? ''))) return;
  throw new ThalamusError(
    'DATASET_INVALID',
    `${file}: no prompt has one of the ${known.size} labels that the experts know; are these the experts for these prompts?`,
  );
}

/** @throws DATASET_INVALID for a file that cannot be read or is too large */
function readPrompts(path: string): Uint8Array {
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

/** The first Ctrl-C ends the run after the chunk that is measured; the second at once, which loses that chunk alone. */
async function watched(
  options: RouterTableOptions,
  place: TablePlace,
  measure: (signal: AbortSignal, view: RunView) => Promise<MeasuredTable>,
): Promise<MeasuredTable> {
  const view = new RunView(options.json, undefined);
  const stop = new AbortController();
  const interrupts = new InterruptCounter(() => performance.now());
  const release = onInterrupt(() => {
    const press = interrupts.press();
    if (press === 'again') {
      view.end();
      place.leave();
      process.exit(EXIT.interrupted);
    }
    stop.abort();
    if (press === 'first')
      createOutput(options.json).note('Ending after these prompts; Ctrl-C again ends at once.');
  });
  try {
    return await measure(stop.signal, view);
  } finally {
    view.end();
    release();
  }
}

function interrupted({ out }: RouterTableOptions, place: TablePlace): void {
  process.stderr.write(
    `Interrupted; what is measured is kept in ${place.partial}. Run the same command again to go on from it, or add --restart to start anew: ${out} is written when all is measured.\n`,
  );
  process.exitCode = EXIT.interrupted;
}
