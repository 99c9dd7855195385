import { ThalamusError } from '@thalamus/errors';
import { globalNorm, type Gradients, type Parameters } from './adamw.js';
import type { TrainingState } from './training-state.js';

/** What is not finite is no checkpoint. @throws TRAINING_DIVERGED naming the first parameter */
export function assertFinite(parameters: Parameters, state: TrainingState): void {
  for (const [name, { data }] of parameters) {
    const value = data.find((element) => !Number.isFinite(element));
    if (value !== undefined) throw fault(state, state.optimiser.step, `the parameter ${name}`, value);
  }
}

/** Global norm of the gradients of the step that runs. @throws TRAINING_DIVERGED naming the first that is not finite */
export function finiteNorm(gradients: Gradients, state: TrainingState): number {
  const norm = globalNorm(gradients);
  if (Number.isFinite(norm)) return norm;
  const [name = 'a gradient', values] = [...gradients].find(([, data]) => isBad(data)) ?? [];
  const value = values?.find((element) => !Number.isFinite(element)) ?? norm;
  throw fault(state, state.optimiser.step + 1, `the gradient of ${name}`, value);
}

/** The error of a loss that is not finite: with the first parameter that made it so, else the first gradient. */
export function lossDiverged(
  { loss, gradients }: { readonly loss: number; readonly gradients: Gradients },
  parameters: Parameters,
  state: TrainingState,
): ThalamusError {
  const weight = [...parameters].find(([, { data }]) => isBad(data))?.[0];
  const gradient = [...gradients].find(([, data]) => isBad(data))?.[0];
  const tensor = weight === undefined ? gradient && `gradient of ${gradient}` : `parameter ${weight}`;
  const what = tensor === undefined ? 'the loss' : `the loss (first tensor: ${tensor})`;
  return fault(state, state.optimiser.step + 1, what, loss);
}

const isBad = (data: Float32Array): boolean => !data.every(Number.isFinite);

function fault({ keptStep }: TrainingState, step: number, what: string, value: number): ThalamusError {
  const kept =
    keptStep === undefined
      ? 'No checkpoint was due before'
      : `The last good checkpoint is kept, that of step ${keptStep}`;
  return new ThalamusError(
    'TRAINING_DIVERGED',
    `Training stopped at step ${step}: ${what} is ${value}. ${kept}; start anew with a lower learning rate.`,
  );
}
