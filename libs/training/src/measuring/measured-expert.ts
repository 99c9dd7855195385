import type { MeasuredPrompt } from './measured-prompts.js';

/** What an expert lost on a prompt. */
export interface PromptLoss {
  /** Nats; null for no result. */
  readonly loss: number | null;
  /** Of each mask, where there are masks: how far they differ says how noisy the loss is. */
  readonly masks?: readonly (number | null)[];
}

/** An expert that is open to be measured. */
export interface MeasuredExpert {
  /** Losses of prompts, in their order. */
  measure(prompts: readonly MeasuredPrompt[]): Promise<PromptLoss[]>;
  release(): Promise<void>;
}
