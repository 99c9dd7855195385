import type { OnnxModel } from '@thalamus/onnx-graph';
import { requirePositive, requireShare } from '../settings.js';
import { nextName, STEP_VALUES, stepTensors, StepWriter, type SteppedParameter } from './step-writer.js';

/** Settings of AdamW; the defaults are those of Loshchilov and Hutter's experiments with language encoders. */
export interface AdamWStepSettings {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Largest global norm of the gradients; larger ones are scaled down to it. Default: none. */
  readonly clipNorm?: number;
}

/**
 * A graph of one step of AdamW (Loshchilov and Hutter 2019, algorithm 2, with bias correction). For step t with rate r, gradients
 * g scaled to the norm, and a parameter of its own rate factor f and decay d:
 *
 *     m' = b1 m + (1 - b1) g,  v' = b2 v + (1 - b2) g^2
 *     p' = p (1 - r f d) - r f (m' / (1 - b1^t)) / (sqrt(v' / (1 - b2^t)) + epsilon)
 *
 * Inputs and outputs, float32: `STEP_VALUES`, `stepTensors` and `nextName` of these. Numbers that all elements share are worked
 * out in float64, elements in float32.
 * @throws CONFIG_INVALID naming a setting out of range
 */
export function adamWStep(
  parameters: readonly SteppedParameter[],
  settings: AdamWStepSettings = {},
): OnnxModel {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, clipNorm } = settings;
  requireShare('beta1', beta1);
  requireShare('beta2', beta2);
  requirePositive('epsilon', epsilon);
  const w = new StepWriter(parameters);
  w.builder.input(STEP_VALUES.step, 'int64', []);
  w.declare(parameters, ['value', 'gradient', 'first', 'second']);
  const wide = (value: number) => w.number(value, 'float64');
  const scale = w.clipping(parameters, clipNorm);
  const step = w.cast(STEP_VALUES.step, 'float64');
  const correction = (beta: number) => w.op('Sub', [wide(1), w.op('Pow', [wide(beta), step])]);
  const root = w.op('Sqrt', [correction(beta2)]);
  // Multiplied by the root, so that no element is divided by it: m' / (sqrt(v') / root + epsilon).
  const rateScale = w.op('Div', [root, correction(beta1)]);
  const least = w.cast(w.op('Mul', [wide(epsilon), root]), 'float32');
  const share1 = w.cast(w.op('Mul', [scale, wide(1 - beta1)]), 'float32');
  const share2 = w.cast(w.op('Mul', [w.op('Mul', [scale, scale]), wide(1 - beta2)]), 'float32');
  const kept = (moment: string, beta: number) => w.op('Mul', [moment, w.number(beta, 'float32')]);
  for (const parameter of parameters) {
    const { value, gradient, first, second } = stepTensors(parameter.name);
    const squares = w.op('Mul', [gradient, gradient]);
    const nextFirst = w.op('Add', [kept(first, beta1), w.op('Mul', [gradient, share1])]);
    const nextSecond = w.op('Add', [kept(second, beta2), w.op('Mul', [squares, share2])]);
    const direction = w.op('Div', [nextFirst, w.op('Add', [w.op('Sqrt', [nextSecond]), least])]);
    const next = w.moved(w.factorsOf(parameter, rateScale), value, direction);
    w.give(nextName(value), next, parameter.shape);
    w.give(nextName(first), nextFirst, parameter.shape);
    w.give(nextName(second), nextSecond, parameter.shape);
  }
  return w.build('adamw-step');
}
