import { ThalamusError } from '@thalamus/errors';
import type { Parameters } from '../loop/adamw.js';
import {
  readCheckpoint,
  writeCheckpoint,
  type CheckpointContent,
  type OpenFile,
} from '../loop/checkpoint-file.js';
import type { LoopHooks, TrainingEvent } from '../loop/train-loop.js';
import { TrainingState } from '../loop/training-state.js';

/** Who watches a run and keeps its state. */
export interface KeptRunHooks {
  readonly onEvent?: (event: TrainingEvent) => void;
  /** File of the checkpoint; without one nothing is kept. */
  readonly checkpointFile?: string;
  /** Whether a checkpoint of another run is an error, or the run starts anew. Default: refuse. */
  readonly foreignCheckpoint?: 'refuse' | 'pass-over';
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

/** What a run was when it was interrupted. */
export type KeptRun = CheckpointContent & { readonly facts: { readonly events: readonly TrainingEvent[] } };

/**
 * The run that the checkpoint file holds; undefined without one. `key` stands for everything that decides the result.
 * @throws CONFIG_INVALID for a checkpoint of another run, unless it is passed over; BUNDLE_INVALID for a damaged one
 */
export function keptRun(
  key: string,
  { checkpointFile, foreignCheckpoint }: KeptRunHooks,
): KeptRun | undefined {
  const content = checkpointFile === undefined ? undefined : readCheckpoint(checkpointFile);
  if (!content) return undefined;
  if ((content.facts as { readonly key?: unknown } | null)?.key === key) return content as KeptRun;
  if (foreignCheckpoint === 'pass-over') return undefined;
  throw new ThalamusError(
    'CONFIG_INVALID',
    `${checkpointFile} is the checkpoint of a run with other data, base, seed or settings; give those again to go on with it, or start anew with --restart.`,
  );
}

/**
 * Hooks that keep checkpoints, and go on from a run that was kept. `beside` is kept with the state: tensors and facts whose
 * names are its own.
 * @throws BUNDLE_INVALID when what was kept does not hold the parameters
 */
export function resumableRun(
  key: string,
  parameters: Parameters,
  hooks: KeptRunHooks,
  { kept, beside }: { readonly kept: KeptRun | undefined; readonly beside?: CheckpointContent },
): ResumableRun {
  const { checkpointFile } = hooks;
  const events: TrainingEvent[] = [...(kept?.facts.events ?? [])];
  const loop: LoopHooks = {
    resume: kept && TrainingState.fromCheckpoint(kept, key, parameters),
    signal: hooks.signal,
    checkpointDue: () => hooks.checkpointDue?.() ?? false,
    onEvent: (event) => {
      events.push(event);
      hooks.onEvent?.(event);
    },
    keep:
      checkpointFile === undefined
        ? undefined
        : async (state) => {
            const { tensors, facts } = state.toCheckpoint(key);
            const content = {
              tensors: new Map([...tensors, ...(beside?.tensors ?? [])]),
              facts: { ...(facts as object), ...(beside?.facts as object | undefined), events },
            };
            await writeCheckpoint(checkpointFile, content, hooks.openFile);
            hooks.onCheckpoint?.();
          },
  };
  return { loop, events };
}
