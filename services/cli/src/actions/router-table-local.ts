import { openBundle } from '@thalamus/bundle';
import {
  lossTableFile,
  makeTableRun,
  measureTable,
  PartialTable,
  requireOneBase,
  runDigest,
  writeWhole,
  type MeasuredBundle,
  type MeasuredTable,
} from '@thalamus/training';
import { EXIT } from '../exit-codes.js';
import { InterruptCounter } from '../interrupt-counter.js';
import { onInterrupt } from '../interruption.js';
import { createOutput } from '../output.js';
import { readPrompts } from '../router/read-prompts.js';
import { tableAnswer, tableFacts, tableLines, type TableOptions } from '../router/table-answer.js';
import { TablePlace } from '../router/table-place.js';
import { localTools, openLocalBase } from '../training/local-tools.js';
import { RunView } from '../training/run-view.js';

/** Options of `router table` for experts of folders. */
export interface LocalTableOptions extends TableOptions {
  /** Folder of the base. */
  readonly base?: string;
  readonly threads?: number;
  readonly restart: boolean;
}

/**
 * Measures the experts of folders on prompts in this process and writes the table. Everything is checked before anything runs; what is
 * measured is kept beside the table, so that the same command goes on where it was ended.
 * @throws BUNDLE_INVALID, DATASET_INVALID, CONFIG_INVALID, METHOD_UNSUPPORTED, ARTIFACT_STORE_FULL
 */
export async function routerTableLocal(options: LocalTableOptions): Promise<void> {
  const experts: MeasuredBundle[] = [];
  for (const folder of options.experts) experts.push(await openBundle(folder));
  const file = { bytes: readPrompts(options.prompts), file: options.prompts };
  const run = makeTableRun(experts, file, options);
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
        const table = await lossTableFile(
          run,
          (expert, chunk) => kept.get(expert, chunk),
          tableFacts(options),
        );
        await writeWhole(place.path, table.bytes);
        place.clear();
        const answer = tableAnswer(run, table, { path: place.path, measured: done.measured, seconds });
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

/** The first Ctrl-C ends the run after the chunk that is measured; the second at once, which loses that chunk alone. */
async function watched(
  options: LocalTableOptions,
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

function interrupted({ out }: LocalTableOptions, place: TablePlace): void {
  process.stderr.write(
    `Interrupted; what is measured is kept in ${place.partial}. Run the same command again to go on from it, or add --restart to start anew: ${out} is written when all is measured.\n`,
  );
  process.exitCode = EXIT.interrupted;
}
