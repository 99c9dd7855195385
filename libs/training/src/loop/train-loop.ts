import type { ScheduleName } from '@thalamus/contracts';
import { adamWStep, initialState, type Gradients, type GroupSettings, type Parameters } from './adamw.js';
import { assertFinite, finiteNorm, lossDiverged } from './divergence.js';
import { rateFactor } from './learning-rate.js';
import { TrainingState, type Validation } from './training-state.js';

/** Loss and gradients of one batch. */
export interface BatchResult {
  /** Mean loss in nats over the items of the batch. */
  readonly loss: number;
  /** Items that the loss is a mean of: rows, or masked positions. 0: the batch is skipped. */
  readonly items: number;
  /** Gradients of the mean loss. */
  readonly gradients: Gradients;
}

/** What is trained, and on what. */
export interface TrainingTask {
  /** Changed in place. */
  readonly parameters: Parameters;
  readonly groupOf: (name: string) => GroupSettings;
  /** Batches of a pass: row numbers. The same pass gives the same batches. */
  readonly batchesOf: (epoch: number) => readonly (readonly number[])[];
  readonly computeBatch: (rows: readonly number[], epoch: number) => Promise<BatchResult>;
  /** Tokens of a row, for the pace. */
  readonly tokensOf: (row: number) => number;
  /** Measures the parameters as they are. */
  readonly validate: () => Promise<Validation>;
}

/** How it is trained. */
export interface LoopSettings {
  readonly epochs: number;
  /** Peak learning rate. */
  readonly rate: number;
  readonly schedule: ScheduleName;
  /** Share of the steps in which the rate rises. */
  readonly warmUpShare: number;
  /** Batches whose gradients make one step. */
  readonly accumulate: number;
  /** Largest global norm of the gradients; larger ones are scaled down. */
  readonly clipNorm: number;
  /** Validations without a better one after which training ends. */
  readonly patience: number;
  /** Validates so often in a pass; at least at its end. */
  readonly validationsPerEpoch: number;
}

/** What happens, for bars, logs and curves. */
export type TrainingEvent =
  | {
      readonly kind: 'step';
      readonly step: number;
      readonly totalSteps: number;
      readonly epoch: number;
      readonly loss: number;
      readonly rate: number;
      readonly gradientNorm: number;
      readonly tokens: number;
    }
  | ({ readonly kind: 'validation'; readonly step: number; readonly best: boolean } & Validation);

/** Who watches a run. */
export interface LoopHooks {
  readonly onEvent?: (event: TrainingEvent) => void;
  /** Asked after each step: whether to keep a checkpoint now. */
  readonly checkpointDue?: () => boolean;
  /** Keeps the state; it is read before the next step. */
  readonly keep?: ((state: TrainingState) => Promise<void>) | undefined;
  /** Ends the run after the step that is running, with a checkpoint. */
  readonly signal?: AbortSignal | undefined;
  /** Where an earlier run stopped, read for the parameters of this task. */
  readonly resume?: TrainingState | undefined;
}

/** How a run ended. */
export type TrainingOutcome =
  | { readonly kind: 'finished' | 'stopped-early'; readonly state: TrainingState }
  | { readonly kind: 'interrupted'; readonly state: TrainingState };

/**
 * Trains with AdamW: batches, accumulation, clipping by the global norm, a schedule, validation and early stopping. After
 * it ends, the best parameters of the validations are in `state.best`. The same task, settings and machine give the same
 * bits, interrupted and resumed or not.
 * @throws TRAINING_DIVERGED with step and tensor when a loss or gradient is not finite; the parameters are those before
 */
export async function trainLoop(
  task: TrainingTask,
  settings: LoopSettings,
  hooks: LoopHooks = {},
): Promise<TrainingOutcome> {
  const state = hooks.resume ?? TrainingState.start(task.parameters, initialState(task.parameters));
  const stepsPerEpoch = Math.ceil(task.batchesOf(0).length / settings.accumulate);
  const totalSteps = stepsPerEpoch * settings.epochs;
  while (state.epoch < settings.epochs) {
    const batches = task.batchesOf(state.epoch);
    const steps = Math.ceil(batches.length / settings.accumulate);
    while (state.stepInEpoch < steps) {
      const from = state.stepInEpoch * settings.accumulate;
      await oneStep(
        task,
        settings,
        state,
        batches.slice(from, from + settings.accumulate),
        totalSteps,
        hooks,
      );
      state.stepInEpoch += 1;
      if (validationDue(state.stepInEpoch, steps, settings.validationsPerEpoch))
        await validate(task, state, hooks);
      if (state.stepInEpoch === steps) state.nextEpoch();
      if (state.roundsWithoutGain >= settings.patience) return { kind: 'stopped-early', state };
      const isStopping = await keepWhenDue(task, state, hooks);
      if (isStopping && state.epoch < settings.epochs) return { kind: 'interrupted', state };
      if (state.stepInEpoch === 0) break;
    }
  }
  return { kind: 'finished', state };
}

/** Keeps a checkpoint when one is due or the run is to end; whether it is to end. */
async function keepWhenDue(task: TrainingTask, state: TrainingState, hooks: LoopHooks): Promise<boolean> {
  const isStopping = hooks.signal?.aborted === true;
  if (isStopping || hooks.checkpointDue?.() === true) {
    assertFinite(task.parameters, state);
    if (hooks.keep) {
      await hooks.keep(state);
      state.keptStep = state.optimiser.step;
    }
  }
  return isStopping;
}

// eslint-disable-next-line max-params -- one step's surroundings, used here alone
async function oneStep(
  task: TrainingTask,
  settings: LoopSettings,
  state: TrainingState,
  batches: readonly (readonly number[])[],
  totalSteps: number,
  hooks: LoopHooks,
): Promise<void> {
  const step = state.optimiser.step;
  const { loss, gradients } = await accumulate(task, batches, state);
  const schedule = {
    name: settings.schedule,
    warmUpSteps: Math.round(settings.warmUpShare * totalSteps),
    totalSteps,
  };
  const rate = settings.rate * rateFactor(schedule, step);
  const gradientNorm = gradients ? finiteNorm(gradients, state) : 0;
  if (gradients) {
    const scale = gradientNorm > settings.clipNorm ? settings.clipNorm / gradientNorm : 1;
    adamWStep(task.parameters, state.optimiser, { gradients, scale, rate, groupOf: task.groupOf });
  } else state.optimiser.step += 1;
  const tokens = batches.flat().reduce((sum, row) => sum + task.tokensOf(row), 0);
  hooks.onEvent?.({
    kind: 'step',
    step: step + 1,
    totalSteps,
    epoch: state.epoch,
    loss,
    rate,
    gradientNorm,
    tokens,
  });
}

/** Mean loss and gradients over the items of several batches. */
async function accumulate(
  task: TrainingTask,
  batches: readonly (readonly number[])[],
  state: TrainingState,
): Promise<{ readonly loss: number; readonly gradients: Gradients | undefined }> {
  let sum: Map<string, Float32Array> | undefined;
  let loss = 0;
  let items = 0;
  for (const rows of batches) {
    const result = await task.computeBatch(rows, state.epoch);
    if (result.items === 0) continue;
    if (!Number.isFinite(result.loss)) throw lossDiverged(result, task.parameters, state);
    loss += result.loss * result.items;
    items += result.items;
    if (batches.length === 1) return { loss: result.loss, gradients: result.gradients };
    sum ??= new Map([...result.gradients].map(([name, { length }]) => [name, new Float32Array(length)]));
    for (const [name, gradient] of result.gradients) {
      const total = sum.get(name)!;
      for (let i = 0; i < total.length; i++) total[i]! += gradient[i]! * result.items;
    }
  }
  if (!sum) return { loss: 0, gradients: undefined };
  for (const total of sum.values()) for (let i = 0; i < total.length; i++) total[i]! /= items;
  return { loss: loss / items, gradients: sum };
}

function validationDue(done: number, steps: number, perEpoch: number): boolean {
  const every = Math.max(1, Math.ceil(steps / Math.max(1, perEpoch)));
  return done === steps || (done % every === 0 && steps - done >= every / 2);
}

async function validate(task: TrainingTask, state: TrainingState, hooks: LoopHooks): Promise<void> {
  const result = await task.validate();
  const best = state.judge(result, task.parameters);
  hooks.onEvent?.({ kind: 'validation', step: state.optimiser.step, best, ...result });
}
