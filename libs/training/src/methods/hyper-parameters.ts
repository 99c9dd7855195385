import type { ScheduleName, TrainingMethod } from '@thalamus/contracts';

/** What can be set about a run. */
export interface HyperParameters {
  readonly epochs: number;
  /** Peak learning rate of the encoder, or of the branches. */
  readonly rate: number;
  /** Peak learning rate of the head. */
  readonly headRate: number;
  /**
   * The head starts as the probe times this. Where the probe fits the training rows the loss is near 0, and so is what the
   * encoder can learn from it: below 1 the same answers are less certain, and the gradients larger.
   */
  readonly headScale: number;
  readonly decay: number;
  readonly schedule: ScheduleName;
  readonly warmUpShare: number;
  readonly clipNorm: number;
  readonly accumulate: number;
  readonly rowsPerBatch: number;
  readonly tokensPerBatch: number;
  /** Longer texts are cut in training; they are judged at the length that is served. */
  readonly maxTokens: number;
  /** Validations without a better one after which training ends. */
  readonly patience: number;
  readonly validationsPerEpoch: number;
  /** Rank of the branches, and of what is extracted. */
  readonly rank: number;
  /** Branches are multiplied by alpha / rank. */
  readonly alpha: number;
}

const COMMON = {
  headScale: 1,
  decay: 0.01,
  schedule: 'linear',
  warmUpShare: 0.1,
  clipNorm: 1,
  accumulate: 1,
  rowsPerBatch: 32,
  tokensPerBatch: 2_048,
  maxTokens: 128,
  patience: 4,
  validationsPerEpoch: 2,
  rank: 16,
  alpha: 16,
} as const;

/** Defaults of each method. Branches take a larger rate than whole matrices, and more passes. */
export const HYPER_PARAMETERS: Readonly<Record<Exclude<TrainingMethod, 'probe'>, HyperParameters>> = {
  full: { ...COMMON, epochs: 2, rate: 8e-5, headRate: 1e-3 },
  svd: { ...COMMON, epochs: 2, rate: 8e-5, headRate: 1e-3 },
  lora: { ...COMMON, epochs: 4, rate: 5e-4, headRate: 1e-3 },
};

/** Defaults of masked language models, which are trained as branches on windows of tokens. */
export const MASKED_LM_HYPER_PARAMETERS: HyperParameters = {
  ...COMMON,
  epochs: 2,
  rate: 1e-3,
  headRate: 5e-4,
  rowsPerBatch: 8,
  tokensPerBatch: 1_024,
};
