/** A prompt of a loss table that two router models decided on. Losses are in one unit, finite, 0 or more. */
export interface RoutedPrompt {
  readonly id: string;
  /** Experts that the two chose. */
  readonly choiceBefore: string;
  readonly choiceAfter: string;
  /** What their choices lost. */
  readonly lossBefore: number;
  readonly lossAfter: number;
  /** An expert that lost the least, and how much. */
  readonly best: string;
  readonly leastLoss: number;
  /** Named slices that the prompt belongs to, such as `domain=law`. */
  readonly slices: readonly string[];
  /** What is drawn together, such as its document; every prompt is its own when absent. */
  readonly group?: string;
}
