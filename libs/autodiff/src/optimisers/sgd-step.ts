import type { OnnxModel } from '@thalamus/onnx-graph';
import { ThalamusError } from '@thalamus/errors';
import { requireShare } from '../settings.js';
import { nextName, stepTensors, StepWriter, type SteppedParameter } from './step-writer.js';

/** Settings of SGD. */
export interface SgdStepSettings {
  /** Share of the velocity that is kept. Default 0: no velocity, and none is taken or given. */
  readonly momentum?: number;
  /** Looks ahead by the velocity (Sutskever et al. 2013, section 2, as PyTorch has it). Default false. */
  readonly nesterov?: boolean;
  /** Largest global norm of the gradients; larger ones are scaled down to it. Default: none. */
  readonly clipNorm?: number;
}

/**
 * A graph of one step of SGD with decoupled decay (Loshchilov and Hutter 2019, algorithm 1). With rate r, gradients g scaled to the
 * norm, momentum u, and a parameter of its own rate factor f and decay d:
 *
 *     v' = u v + g
 *     p' = p (1 - r f d) - r f v', with Nesterov - r f (g + u v')
 *
 * Inputs and outputs, float32: `STEP_VALUES` but for the step, `stepTensors` but for `second`, and `nextName` of these.
 * @throws CONFIG_INVALID naming a setting out of range
 */
export function sgdStep(parameters: readonly SteppedParameter[], settings: SgdStepSettings = {}): OnnxModel {
  const { momentum = 0, nesterov = false, clipNorm } = settings;
  requireShare('momentum', momentum);
  if (nesterov && momentum === 0)
    throw new ThalamusError('CONFIG_INVALID', 'nesterov needs a momentum above 0.');
  const w = new StepWriter(parameters);
  w.declare(parameters, momentum === 0 ? ['value', 'gradient'] : ['value', 'gradient', 'first']);
  const scale = w.cast(w.clipping(parameters, clipNorm), 'float32');
  const isClipped = clipNorm !== undefined;
  const kept = w.number(momentum, 'float32');
  for (const parameter of parameters) {
    const { value, gradient, first } = stepTensors(parameter.name);
    const scaled = isClipped ? w.op('Mul', [gradient, scale]) : gradient;
    let change = scaled;
    if (momentum > 0) {
      const velocity = w.op('Add', [w.op('Mul', [first, kept]), scaled]);
      w.give(nextName(first), velocity, parameter.shape);
      change = nesterov ? w.op('Add', [scaled, w.op('Mul', [velocity, kept])]) : velocity;
    }
    const next = w.moved(w.factorsOf(parameter, w.number(1, 'float64')), value, change);
    w.give(nextName(value), next, parameter.shape);
  }
  return w.build('sgd-step');
}
