import { wilson, type Rate } from '../intervals.js';
import { pairedBootstrap, type MeanInterval } from '../paired-bootstrap.js';
import type { RoutedPrompt } from './routed-prompt.js';

/** What the choices of two router models came to on the same prompts. Losses are in the unit of the table. */
export interface ChoiceFigures {
  /** Name of the slice; empty for all prompts. */
  readonly slice: string;
  readonly n: number;
  /** Prompts that go to another expert now. */
  readonly changed: Rate;
  /** Prompts that lose more than before by more than the tolerance, and those that lose less. */
  readonly worse: Rate;
  readonly better: Rate;
  readonly lossBefore: number;
  readonly lossAfter: number;
  /** Loss after less before, prompt by prompt: paired bootstrap, 95 %. */
  readonly lossDifference: MeanInterval;
}

/** Of all prompts also how far the choices are from the best ones. */
export interface OverallChoices extends ChoiceFigures {
  /** Loss beyond the least, 95 %. */
  readonly regretBefore: MeanInterval;
  readonly regretAfter: MeanInterval;
}

/** How the figures are drawn, and which difference of loss is none. */
export interface ChoiceOptions {
  /** In the unit of the losses. */
  readonly tolerance: number;
  /** Of the bootstrap. */
  readonly seed: number;
  /** Default 2,000. */
  readonly resamples?: number;
}

/** Figures of the prompts of a slice. @throws RangeError without prompts */
export function choiceFigures(
  slice: string,
  prompts: readonly RoutedPrompt[],
  options: ChoiceOptions,
): ChoiceFigures {
  const n = prompts.length;
  const share = (isOne: (prompt: RoutedPrompt) => boolean) => wilson(prompts.filter(isOne).length, n);
  const mean = (of: (prompt: RoutedPrompt) => number) => prompts.reduce((sum, own) => sum + of(own), 0) / n;
  const { tolerance } = options;
  return {
    slice,
    n,
    changed: share(({ choiceBefore, choiceAfter }) => choiceBefore !== choiceAfter),
    worse: share(({ lossBefore, lossAfter }) => lossAfter - lossBefore > tolerance),
    better: share(({ lossBefore, lossAfter }) => lossBefore - lossAfter > tolerance),
    lossBefore: mean(({ lossBefore }) => lossBefore),
    lossAfter: mean(({ lossAfter }) => lossAfter),
    lossDifference: drawn(prompts, ({ lossAfter, lossBefore }) => lossAfter - lossBefore, options),
  };
}

/** Figures of all prompts. @throws RangeError without prompts */
export function overallChoices(prompts: readonly RoutedPrompt[], options: ChoiceOptions): OverallChoices {
  return {
    ...choiceFigures('', prompts, options),
    regretBefore: drawn(prompts, ({ lossBefore, leastLoss }) => lossBefore - leastLoss, options),
    regretAfter: drawn(prompts, ({ lossAfter, leastLoss }) => lossAfter - leastLoss, options),
  };
}

function drawn(
  prompts: readonly RoutedPrompt[],
  value: (prompt: RoutedPrompt) => number,
  { seed, resamples }: ChoiceOptions,
): MeanInterval {
  const groups = prompts.map(({ group }, at) => group ?? `prompt ${at}`);
  return pairedBootstrap(prompts.map(value), {
    ...{ seed, groups },
    ...(resamples === undefined ? {} : { resamples }),
  });
}
