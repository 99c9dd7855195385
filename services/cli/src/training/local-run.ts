import { openBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { RunHooks } from '@thalamus/training';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT } from '../exit-codes.js';
import { onInterrupt } from '../interruption.js';
import { createOutput } from '../output.js';
import { RunView } from './run-view.js';

/** Where a run in this process writes, and how it is shown. */
export interface LocalRunOptions {
  readonly json: boolean;
  /** Absolute folder of the bundle; the run's own files stand beside it until it is finished. */
  readonly out: string;
  readonly restart: boolean;
  readonly checkpointMinutes: number;
}

/**
 * Runs a training: bar, log and checkpoints beside the folder of the bundle. The first Ctrl-C ends it after the step that is running,
 * with a checkpoint; the second at once. Undefined when it was interrupted, which is said and is the exit code.
 */
export async function localRun<T extends { readonly kind: string }>(
  options: LocalRunOptions,
  train: (hooks: RunHooks) => Promise<T | { readonly kind: 'interrupted' }>,
): Promise<Exclude<T, { readonly kind: 'interrupted' }> | undefined> {
  const work = `${options.out}.training`;
  if (options.restart) rmSync(work, { recursive: true, force: true });
  makeFolder(work);
  const view = new RunView(options.json, join(work, 'log.jsonl'));
  const stop = new AbortController();
  const release = onInterrupt(() => {
    // The second Ctrl-C does not wait for the step.
    if (stop.signal.aborted) process.exit(EXIT.interrupted);
    stop.abort();
    createOutput(options.json).note(
      'Ending after this step; Ctrl-C again ends at once, without a checkpoint.',
    );
  });
  let keptAt = Date.now();
  try {
    const result = await train({
      signal: stop.signal,
      checkpointFile: join(work, 'checkpoint.safetensors'),
      checkpointDue: () => Date.now() - keptAt >= options.checkpointMinutes * 60_000,
      onCheckpoint: () => {
        keptAt = Date.now();
      },
      onProgress: (progress) => {
        // Nothing is kept of what comes before and after the steps: it takes seconds.
        if (stop.signal.aborted && progress.stage !== 'training') process.exit(EXIT.interrupted);
        view.progress(progress);
      },
      onEvent: (event) => {
        view.event(event);
      },
    });
    view.end();
    if (result.kind !== 'interrupted') return result as Exclude<T, { readonly kind: 'interrupted' }>;
    process.stderr.write(
      `Interrupted; a checkpoint is kept in ${work}. Run the same command again to go on from it, or add --restart to start anew.\n`,
    );
    process.exitCode = EXIT.interrupted;
    return undefined;
  } finally {
    view.end();
    release();
  }
}

/** Forgets the checkpoint and the log of a run whose bundle is written. */
export function endRun(out: string): void {
  rmSync(`${out}.training`, { recursive: true, force: true });
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

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown fault';
    throw new ThalamusError(
      'CONFIG_INVALID',
      `${folder} cannot be made (${code}); name another folder with --out.`,
    );
  }
}
