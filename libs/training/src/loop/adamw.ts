/** A trainable tensor. */
export interface Parameter {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Trainable tensors by name. */
export type Parameters = ReadonlyMap<string, Parameter>;

/** How a group of parameters is stepped. */
export interface GroupSettings {
  /** Factor of the run's learning rate. */
  readonly rateFactor: number;
  /** Decoupled weight decay: each step takes rate times this share away. */
  readonly decay: number;
}

/** Settings of AdamW. */
export interface AdamWSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** As in Loshchilov and Hutter's experiments with language encoders. */
export const ADAMW_DEFAULTS: AdamWSettings = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/** First and second moments of each parameter, and how many steps they are of. */
export interface AdamWState {
  step: number;
  readonly first: ReadonlyMap<string, Float32Array>;
  readonly second: ReadonlyMap<string, Float32Array>;
}

/** Moments of zero. */
export function initialState(parameters: Parameters): AdamWState {
  const zeros = () =>
    new Map([...parameters].map(([name, { data }]) => [name, new Float32Array(data.length)]));
  return { step: 0, first: zeros(), second: zeros() };
}

/** Gradients by parameter. */
export type Gradients = ReadonlyMap<string, Float32Array>;

/** L2 norm over all gradients, in float64. NaN or infinite when any element is. */
export function globalNorm(gradients: Gradients): number {
  let sum = 0;
  for (const gradient of gradients.values())
    for (let i = 0; i < gradient.length; i++) sum += gradient[i]! * gradient[i]!;
  return Math.sqrt(sum);
}

/** What one step is given. */
export interface StepInput {
  readonly gradients: Gradients;
  /** Gradients are multiplied by this, as clipping wants. */
  readonly scale: number;
  /** Learning rate of the step. */
  readonly rate: number;
  readonly groupOf: (name: string) => GroupSettings;
}

/**
 * One step of AdamW (Loshchilov and Hutter 2019, algorithm 2, with bias correction) in place. Cost: a pass over the
 * parameters. Deterministic: float64 arithmetic, rounded to float32 where it is stored.
 */
export function adamWStep(
  parameters: Parameters,
  state: AdamWState,
  { gradients, scale, rate, groupOf }: StepInput,
  { beta1, beta2, epsilon }: AdamWSettings = ADAMW_DEFAULTS,
): void {
  state.step += 1;
  const correction1 = 1 - beta1 ** state.step;
  const correction2 = 1 - beta2 ** state.step;
  for (const [name, { data }] of parameters) {
    const gradient = gradients.get(name)!;
    const first = state.first.get(name)!;
    const second = state.second.get(name)!;
    const { rateFactor, decay } = groupOf(name);
    const ownRate = rate * rateFactor;
    const keep = 1 - ownRate * decay;
    const stepSize = ownRate / correction1;
    const root = 1 / Math.sqrt(correction2);
    for (let i = 0; i < data.length; i++) {
      const g = gradient[i]! * scale;
      const m = beta1 * first[i]! + (1 - beta1) * g;
      const v = beta2 * second[i]! + (1 - beta2) * g * g;
      first[i] = m;
      second[i] = v;
      data[i] = data[i]! * keep - (stepSize * m) / (Math.sqrt(v) * root + epsilon);
    }
  }
}
