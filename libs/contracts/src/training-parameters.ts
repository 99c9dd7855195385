import { z } from 'zod';

/** Ways to train a classifier. The only place where their names are written. */
export const TRAINING_METHODS = ['probe', 'lora', 'full', 'svd'] as const;

/** A way to train a classifier: a head alone; low-rank branches; all weights; low-rank factors of what all weights changed by. */
export type TrainingMethod = (typeof TRAINING_METHODS)[number];

/** How an update is repaired: MUSCLE (arXiv 2407.09435) and its ablation, two controls (`new`, `continued`), two variants of ours. */
export const REPAIR_METHODS = [
  'muscle',
  'muscle-ce',
  'old',
  'old-right',
  'less-likely-ce',
  'new',
  'continued',
  'mean',
  'mean-ce',
  'old-right-alone-ce',
] as const;

/** How an update is repaired. */
export type RepairMethod = (typeof REPAIR_METHODS)[number];

/** That of a repair that names none: it left the fewest flips of those that were measured (docs/results/updates.md). */
export const DEFAULT_REPAIR_METHOD: RepairMethod = 'mean-ce';

/** Forms of a learning rate's schedule after its warm-up. */
export const SCHEDULES = ['constant', 'linear', 'cosine', 'power'] as const;

/** A form of schedule. */
export type ScheduleName = (typeof SCHEDULES)[number];

/** What a number may be. */
export interface NumberRange {
  readonly smallest: number;
  readonly largest: number;
  readonly isWhole: boolean;
}

const whole = (smallest: number, largest: number): NumberRange => ({ smallest, largest, isWhole: true });
const real = (smallest: number, largest: number): NumberRange => ({ smallest, largest, isWhole: false });
const positive = (largest: number) => real(Number.MIN_VALUE, largest);

/** Hyper-parameters that are numbers, with what they may be: for jobs and for the command line. */
export const HYPER_PARAMETER_RANGES = {
  /** Passes over the rows. */
  epochs: whole(1, 1_000),
  /** Peak learning rate of the encoder, or of the branches. */
  rate: positive(1),
  /** Peak learning rate of the head. */
  headRate: positive(1),
  /** Decoupled weight decay. */
  decay: real(0, 1),
  /** Share of the steps in which the rate rises. */
  warmUpShare: real(0, 1),
  /** Largest global norm of the gradients. */
  clipNorm: positive(1e6),
  /** Batches that make one step. */
  accumulate: whole(1, 1_024),
  /** Most rows of a batch. */
  rowsPerBatch: whole(1, 4_096),
  /** Most tokens of a batch, padding included. */
  tokensPerBatch: whole(8, 1_000_000),
  /** Longer texts are cut in training. */
  maxTokens: whole(8, 512),
  /** Validations without a better one after which training ends. */
  patience: whole(1, 1_000),
  /** Rank of the branches, or of what is extracted. */
  rank: whole(1, 256),
  /** Branches are multiplied by alpha / rank. */
  alpha: positive(4_096),
} as const satisfies Record<string, NumberRange>;

const numberOf = ({ smallest, largest, isWhole }: NumberRange) =>
  (isWhole ? z.number().int() : z.number()).min(smallest).max(largest).optional();

type Shape = Record<keyof typeof HYPER_PARAMETER_RANGES, ReturnType<typeof numberOf>>;

/** Optional hyper-parameters of a `train` or `repair` job; without one the method's default holds. */
export const hyperParameterShape = {
  ...(Object.fromEntries(
    Object.entries(HYPER_PARAMETER_RANGES).map(([name, range]) => [name, numberOf(range)]),
  ) as Shape),
  /** How the rate falls. */
  schedule: z.enum(SCHEDULES, `must be one of ${SCHEDULES.join(', ')}`).optional(),
};

/** Name of a hyper-parameter of a job. */
export type HyperParameterName = keyof typeof hyperParameterShape;

/** Names of all hyper-parameters of a job. */
export const HYPER_PARAMETER_NAMES = Object.keys(hyperParameterShape) as readonly HyperParameterName[];

const WITHOUT_EFFECT: Readonly<Record<TrainingMethod, readonly HyperParameterName[]>> = {
  probe: HYPER_PARAMETER_NAMES,
  lora: [],
  full: ['rank', 'alpha'],
  svd: ['alpha'],
};

/** Hyper-parameters among the given names that a method does not heed. */
export function withoutEffect(method: TrainingMethod, names: readonly string[]): readonly string[] {
  const idle: readonly string[] = WITHOUT_EFFECT[method];
  return names.filter((name) => idle.includes(name));
}
