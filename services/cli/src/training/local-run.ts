import { openBundle, writeBundle, type Digest } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { RunHooks, UnwrittenBundle } from '@thalamus/training';
import { existsSync } from 'node:fs';
import { EXIT } from '../exit-codes.js';
import { InterruptCounter } from '../interrupt-counter.js';
import { onInterrupt } from '../interruption.js';
import { createOutput } from '../output.js';
import { RunFolder } from './run-folder.js';
import { RunView } from './run-view.js';

/** Where a run in this process writes, and how it is shown. */
export interface LocalRunOptions {
  readonly json: boolean;
  /** Absolute folder of the bundle; the run's own files stand beside it until it is finished. */
  readonly out: string;
  readonly restart: boolean;
  readonly checkpointMinutes: number;
}

/** It takes seconds: a checkpoint is of the steps. */
const OUTSIDE_OF_STEPS =
  'Interrupted. Nothing is kept of what comes before and after the steps of training; an earlier checkpoint stays. Run the same command again.\n';

/** Trains, watched and interrupted by the hooks. */
type Train<T extends UnwrittenBundle> = (hooks: RunHooks) => Promise<T | Interrupted>;
interface Interrupted {
  readonly kind: 'interrupted';
}

/**
 * Runs a training and writes its bundle: bar, log and checkpoints beside the folder of the bundle. The first Ctrl-C ends it
 * after the step that is running, with a checkpoint; the second at once. Undefined when it was interrupted, which is said and is
 * the exit code.
 * @throws CONFIG_INVALID when another run writes there
 */
export async function localRun<T extends UnwrittenBundle>(
  options: LocalRunOptions,
  train: Train<T>,
): Promise<{ readonly result: T; readonly digest: Digest } | undefined> {
  const folder = RunFolder.take(options.out);
  if (options.restart) folder.clear();
  try {
    const result = await watched(options, folder, train);
    if ('files' in result) {
      const { digest } = await writeBundle(options.out, result.manifest, result.files);
      folder.clear();
      return { result, digest };
    }
    process.stderr.write(
      `Interrupted; a checkpoint is kept in ${folder.path}. Run the same command again to go on from it, or add --restart to start anew.\n`,
    );
    process.exitCode = EXIT.interrupted;
    return undefined;
  } finally {
    folder.leave();
  }
}

async function watched<T extends UnwrittenBundle>(
  options: LocalRunOptions,
  folder: RunFolder,
  train: Train<T>,
): Promise<T | Interrupted> {
  const view = new RunView(options.json, (line) => {
    folder.append(line);
  });
  const stop = new AbortController();
  const interrupts = new InterruptCounter(() => performance.now());
  const endAtOnce = () => {
    folder.leave();
    process.exit(EXIT.interrupted);
  };
  const release = onInterrupt(() => {
    const press = interrupts.press();
    if (press === 'again') endAtOnce();
    stop.abort();
    if (press === 'first')
      createOutput(options.json).note(
        'Ending after this step; Ctrl-C again ends at once, without a checkpoint.',
      );
  });
  let keptAt = performance.now();
  let isBetter = false;
  try {
    return await train({
      signal: stop.signal,
      checkpointFile: folder.checkpoint,
      // What validation finds better is kept at once, so that a run that diverges later has lost nothing.
      checkpointDue: () => isBetter || performance.now() - keptAt >= options.checkpointMinutes * 60_000,
      onCheckpoint: () => {
        keptAt = performance.now();
        isBetter = false;
      },
      onProgress: (progress) => {
        if (stop.signal.aborted && progress.stage !== 'training') {
          process.stderr.write(OUTSIDE_OF_STEPS);
          endAtOnce();
        }
        view.progress(progress);
      },
      onEvent: (event) => {
        if (event.kind === 'validation' && event.best) isBetter = true;
        view.event(event);
      },
    });
  } finally {
    view.end();
    release();
  }
}

/** Only an expert's own folder is replaced. @throws CONFIG_INVALID */
export async function requireFree(out: string): Promise<void> {
  if (!existsSync(out)) return;
  const isExpert = await openBundle(out).then(
    () => true,
    () => false,
  );
  if (!isExpert)
    throw new ThalamusError(
      'CONFIG_INVALID',
      `${out} exists and is no expert's bundle; name another folder with --out, or remove it.`,
    );
}
