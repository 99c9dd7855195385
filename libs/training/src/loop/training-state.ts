import { ThalamusError } from '@thalamus/errors';
import { z } from 'zod';
import type { AdamWState, Parameters } from './adamw.js';
import type { CheckpointContent } from './checkpoint-file.js';

/** What a validation gave. */
export interface Validation {
  /** Compared in order, larger is better. */
  readonly score: readonly number[];
  /** Figures by name. */
  readonly figures: Readonly<Record<string, number>>;
}

const facts = z.object({
  key: z.string(),
  step: z.number(),
  epoch: z.number(),
  stepInEpoch: z.number(),
  roundsWithoutGain: z.number(),
  bestScore: z.array(z.number()),
  bestFigures: z.record(z.string(), z.number()),
});

/** Everything that a run is: parameters, moments, position, and the best parameters so far. */
export class TrainingState {
  epoch = 0;
  stepInEpoch = 0;
  roundsWithoutGain = 0;
  bestScore: readonly number[] = [];
  bestFigures: Readonly<Record<string, number>> = {};
  /** Parameters of the best validation; undefined before the first one. */
  best: Map<string, Float32Array> | undefined;
  /** Step of the last checkpoint that was kept; undefined while there is none. */
  keptStep: number | undefined;

  private constructor(
    readonly parameters: Parameters,
    readonly optimiser: AdamWState,
  ) {}

  /** The beginning of a run. */
  static start(parameters: Parameters, optimiser: AdamWState): TrainingState {
    return new TrainingState(parameters, optimiser);
  }

  /** Says where the next pass begins. */
  nextEpoch(): void {
    this.epoch += 1;
    this.stepInEpoch = 0;
  }

  /** Keeps the parameters when a validation is the best so far. */
  judge({ score, figures }: Validation, parameters: Parameters): boolean {
    const isBetter = this.best === undefined || isGreater(score, this.bestScore);
    this.roundsWithoutGain = isBetter ? 0 : this.roundsWithoutGain + 1;
    if (!isBetter) return false;
    this.bestScore = score;
    this.bestFigures = figures;
    this.best ??= new Map([...parameters].map(([name, { data }]) => [name, new Float32Array(data.length)]));
    for (const [name, kept] of this.best) kept.set(parameters.get(name)!.data);
    return true;
  }

  /** What a checkpoint of this state holds; `key` says of which run it is. */
  toCheckpoint(key: string): CheckpointContent {
    const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
    for (const [name, { shape, data }] of this.parameters) {
      tensors.set(`value/${name}`, { shape, data });
      tensors.set(`first/${name}`, { shape, data: this.optimiser.first.get(name)! });
      tensors.set(`second/${name}`, { shape, data: this.optimiser.second.get(name)! });
      if (this.best) tensors.set(`best/${name}`, { shape, data: this.best.get(name)! });
    }
    const { epoch, stepInEpoch, roundsWithoutGain, bestScore, bestFigures } = this;
    const kept = { epoch, stepInEpoch, roundsWithoutGain, bestScore, bestFigures };
    return { tensors, facts: { key, step: this.optimiser.step, ...kept } };
  }

  /**
   * The state of a checkpoint; undefined when it is of another run.
   * @throws BUNDLE_INVALID when it does not hold the parameters of this run
   */
  static fromCheckpoint(
    content: CheckpointContent,
    key: string,
    parameters: Parameters,
  ): TrainingState | undefined {
    const parsed = facts.safeParse(content.facts);
    if (!parsed.success || parsed.data.key !== key) return undefined;
    const read = (kind: string) =>
      new Map(
        [...parameters].map(([name, { data }]) => {
          const stored = content.tensors.get(`${kind}/${name}`)?.data;
          if (stored?.length !== data.length)
            throw new ThalamusError(
              'BUNDLE_INVALID',
              `The checkpoint holds no ${kind} of ${name} as this run has it; remove it and train from the start.`,
            );
          return [name, stored] as const;
        }),
      );
    // Trained in place: the caller's tensors are those of the state.
    for (const [name, values] of read('value')) parameters.get(name)!.data.set(values);
    const optimiser = { step: parsed.data.step, first: read('first'), second: read('second') };
    const state = new TrainingState(parameters, optimiser);
    const { epoch, stepInEpoch, roundsWithoutGain, bestScore, bestFigures } = parsed.data;
    if (bestScore.length > 0) state.best = read('best');
    const keptStep = optimiser.step;
    return Object.assign(state, { epoch, stepInEpoch, roundsWithoutGain, bestScore, bestFigures, keptStep });
  }
}

function isGreater(a: readonly number[], b: readonly number[]): boolean {
  for (const [index, value] of a.entries()) {
    const other = b[index] ?? -Infinity;
    if (value !== other) return value > other;
  }
  return false;
}
