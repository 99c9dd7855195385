import { ThalamusError } from '@thalamus/errors';
import { GraphBuilder, type AttributeValue, type OnnxModel, type ValueName } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { gradientName } from '../differentiate.js';
import { FLOAT_TYPES, type FloatType } from '../float-types.js';
import { requireNotNegative, requirePositive } from '../settings.js';

/** A float32 parameter that a step changes. */
export interface SteppedParameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Factor of the step's learning rate. Default 1. */
  readonly rateFactor?: number;
  /** Decoupled weight decay: each step takes its rate times this share away. Default 0. */
  readonly decay?: number;
}

/** Names of what a step takes and gives beside the tensors of each parameter. */
export const STEP_VALUES = {
  /** float32 scalar: learning rate of this step. */
  rate: 'rate',
  /** int64 scalar: number of this step, the first is 1. */
  step: 'step',
  /** float32 scalar: global L2 norm of the gradients before clipping. Not finite when any of them is not. */
  gradientNorm: 'gradient_norm',
} as const;

/** Names of the tensors of a parameter that a step takes; what it gives in their place is named `next/` before the same. */
export const stepTensors = (parameter: string) => ({
  value: parameter,
  gradient: gradientName(parameter),
  /** Mean of the gradients, or the velocity of SGD. */
  first: `first/${parameter}`,
  /** Mean of their squares. */
  second: `second/${parameter}`,
});

/** Name of the output that takes the place of an input. */
export const nextName = (input: string): string => `next/${input}`;

/** Writes the parts that all optimisers share. */
export class StepWriter {
  readonly builder = new GraphBuilder();
  private readonly constants = new Map<string, ValueName>();
  private readonly factors = new Map<string, { readonly keep: ValueName; readonly rate: ValueName }>();

  constructor(parameters: readonly SteppedParameter[]) {
    if (parameters.length === 0)
      throw new ThalamusError('CONFIG_INVALID', 'There is nothing to step: name at least one parameter.');
    for (const { name, rateFactor = 1, decay = 0 } of parameters) {
      requireNotNegative(`rateFactor of ${name}`, rateFactor);
      requireNotNegative(`decay of ${name}`, decay);
    }
    this.builder.input(STEP_VALUES.rate, 'float32', []);
  }

  op(
    operator: string,
    inputs: readonly ValueName[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): ValueName {
    return this.builder.node(operator, inputs, { name: `step/${operator.toLowerCase()}`, attributes });
  }

  number(value: number, type: FloatType): ValueName {
    const key = `${type}/${value}`;
    const known =
      this.constants.get(key) ?? this.builder.constant('step/number', FLOAT_TYPES[type].scalar(value));
    this.constants.set(key, known);
    return known;
  }

  cast(value: ValueName, type: FloatType): ValueName {
    return this.op('Cast', [value], { to: FLOAT_TYPES[type].code });
  }

  /** Declares the tensors of each parameter that a step takes. */
  declare(
    parameters: readonly SteppedParameter[],
    kinds: readonly (keyof ReturnType<typeof stepTensors>)[],
  ): void {
    for (const { name, shape } of parameters)
      for (const kind of kinds) this.builder.input(stepTensors(name)[kind], 'float32', shape);
  }

  /**
   * What gradients are multiplied by, float64: 1, or what takes their global norm down to `clipNorm`. Also gives the norm. Sums of
   * squares are taken in float32 along the last dimension, where a square above 3e38 is infinite, and in float64 over these.
   */
  clipping(parameters: readonly SteppedParameter[], clipNorm: number | undefined): ValueName {
    const last = this.builder.constant('step/last', tensor('int64', [1], BigInt64Array.of(-1n)));
    const sums = parameters.map(({ name, shape }) => {
      const { gradient } = stepTensors(name);
      const inRows = shape.length === 0 ? this.op('Mul', [gradient, gradient]) : undefined;
      const squares = inRows ?? this.op('ReduceSumSquare', [gradient, last], { keepdims: 0 });
      return this.op('ReduceSum', [this.cast(squares, 'float64')], { keepdims: 0 });
    });
    const norm = this.op('Sqrt', [this.op('Sum', sums)]);
    this.give(STEP_VALUES.gradientNorm, this.cast(norm, 'float32'), []);
    if (clipNorm === undefined) return this.number(1, 'float64');
    requirePositive('clipNorm', clipNorm);
    const limit = this.number(clipNorm, 'float64');
    // Of a norm that is not a number the comparison is false, and the gradients stay what they are.
    return this.op('Where', [
      this.op('Greater', [norm, limit]),
      this.op('Div', [limit, norm]),
      this.number(1, 'float64'),
    ]);
  }

  /** Of the group of a parameter: what its value is multiplied by, and its rate times a factor, both float32. */
  factorsOf(
    { rateFactor = 1, decay = 0 }: SteppedParameter,
    rateScale: ValueName,
  ): { readonly keep: ValueName; readonly rate: ValueName } {
    const key = `${rateFactor}/${decay}`;
    const known = this.factors.get(key);
    if (known) return known;
    const wide = this.cast(STEP_VALUES.rate, 'float64');
    const own = this.op('Mul', [wide, this.number(rateFactor, 'float64')]);
    const taken = this.op('Mul', [own, this.number(decay, 'float64')]);
    const keep = this.cast(this.op('Sub', [this.number(1, 'float64'), taken]), 'float32');
    const rate = this.cast(this.op('Mul', [own, rateScale]), 'float32');
    this.factors.set(key, { keep, rate });
    return { keep, rate };
  }

  /** value keep - rate change */
  moved(
    { keep, rate }: { readonly keep: ValueName; readonly rate: ValueName },
    value: ValueName,
    change: ValueName,
  ): ValueName {
    return this.op('Sub', [this.op('Mul', [value, keep]), this.op('Mul', [change, rate])]);
  }

  /** Makes a value an output of a given name. */
  give(name: string, value: ValueName, shape: readonly number[]): void {
    this.builder.output(this.builder.node('Identity', [value], { name }), 'float32', shape);
  }

  build(name: string): OnnxModel {
    return this.builder.build({ name });
  }
}
