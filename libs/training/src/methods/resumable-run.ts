import { ThalamusError } from '@thalamus/errors';
import type { Parameters } from '../loop/adamw.js';
import { readCheckpoint, writeCheckpoint, type OpenFile } from '../loop/checkpoint-file.js';
import type { LoopHooks, TrainingEvent } from '../loop/train-loop.js';
import { TrainingState } from '../loop/training-state.js';

/** Who watches a run and keeps its state. */
export interface KeptRunHooks {
  readonly onEvent?: (event: TrainingEvent) => void;
  /** File of the checkpoint; without one nothing is kept. */
  readonly checkpointFile?: string;
  readonly checkpointDue?: () => boolean;
  readonly onCheckpoint?: () => void;
  readonly signal?: AbortSignal | undefined;
  readonly openFile?: OpenFile;
}

/** Hooks of a training loop, and the events of the run from its beginning. */
export interface ResumableRun {
  readonly loop: LoopHooks;
  /** Grows while the run goes on; those of an earlier, interrupted part come first. */
  readonly events: readonly TrainingEvent[];
}

/**
 * Hooks that keep checkpoints and go on from one that is there. `key` stands for everything that decides the result.
 * @throws CONFIG_INVALID for a checkpoint of another run, BUNDLE_INVALID for a damaged one
 */
export function resumableRun(key: string, parameters: Parameters, hooks: KeptRunHooks): ResumableRun {
  const { checkpointFile } = hooks;
  const resume = checkpointFile === undefined ? undefined : resumed(checkpointFile, key, parameters);
  const events: TrainingEvent[] = [...(resume?.events ?? [])];
  const loop: LoopHooks = {
    resume: resume?.state,
    signal: hooks.signal,
    checkpointDue: () => hooks.checkpointDue?.() ?? false,
    onEvent: (event) => {
      events.push(event);
      hooks.onEvent?.(event);
    },
    keep: async (state) => {
      if (checkpointFile === undefined) return;
      const { tensors, facts } = state.toCheckpoint(key);
      const content = { tensors, facts: { ...(facts as object), events } };
      await writeCheckpoint(checkpointFile, content, hooks.openFile);
      hooks.onCheckpoint?.();
    },
  };
  return { loop, events };
}

function resumed(file: string, key: string, parameters: Parameters) {
  const content = readCheckpoint(file);
  if (!content) return undefined;
  const state = TrainingState.fromCheckpoint(content, key, parameters);
  if (!state)
    throw new ThalamusError(
      'CONFIG_INVALID',
      `${file} is the checkpoint of a run with other data, base, seed or settings; give those again to go on with it, or remove it to start anew.`,
    );
  return { state, events: (content.facts as { readonly events: TrainingEvent[] }).events };
}
