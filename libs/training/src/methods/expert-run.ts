import type { TrainingMethod } from '@thalamus/contracts';
import type { DatasetRow } from '../csv-dataset.js';
import type { EmbeddedTexts } from '../embed-texts.js';
import type { TrainingSplit } from '../split-rows.js';
import type { TrainingEvent } from '../loop/train-loop.js';
import type { TrainingBase } from '../training-base.port.js';
import type { ClassifierFacts } from './expert-bundle.js';
import type { HyperParameters } from './hyper-parameters.js';
import type { KeptRunHooks } from './resumable-run.js';

/** How far a run is. */
export interface RunProgress {
  readonly stage: 'embedding' | 'fitting' | 'tokenising' | 'training' | 'measuring';
  readonly done: number;
  readonly total: number;
  /** Mean loss of the last step in nats; only while training. */
  readonly loss?: number;
}

/** What is asked of a run. */
export interface ExpertRun {
  readonly base: TrainingBase;
  readonly parts: TrainingSplit<DatasetRow>;
  readonly method: TrainingMethod;
  readonly settings: HyperParameters;
  readonly seed: number;
  readonly facts: ClassifierFacts;
  /** Ships what was asked for even where the probe is better on the validation rows. Default false. */
  readonly keepMethod?: boolean;
}

/** Who watches a run and keeps its state. */
export interface RunHooks extends KeptRunHooks {
  readonly onProgress?: (progress: RunProgress) => void;
  /** Embeds all rows; default: `embedTexts` with the base. */
  readonly embed?: (texts: readonly string[]) => Promise<EmbeddedTexts>;
}

/** The hooks, with each step of the training told as progress too. */
export function withStepProgress<H extends Pick<RunHooks, 'onEvent' | 'onProgress'>>(hooks: H): H {
  return {
    ...hooks,
    onEvent: (event: TrainingEvent) => {
      hooks.onEvent?.(event);
      if (event.kind === 'step')
        hooks.onProgress?.({
          stage: 'training',
          done: event.step,
          total: event.totalSteps,
          loss: event.loss,
        });
    },
  };
}
