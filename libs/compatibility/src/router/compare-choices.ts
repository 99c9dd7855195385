import { comparePairs, type Comparison } from '../compare-pairs.js';
import type { FlipCounts } from '../figures.js';
import type { FlippedItem } from '../pairs/flip-list.js';
import {
  choiceFigures,
  overallChoices,
  type ChoiceFigures,
  type ChoiceOptions,
  type OverallChoices,
} from './choice-figures.js';
import type { RoutedPrompt } from './routed-prompt.js';

/** Two router models, prompt by prompt. */
export interface ChoiceComparison {
  readonly overall: OverallChoices;
  /** Largest first. */
  readonly slices: readonly ChoiceFigures[];
  /**
   * The same prompts as right or wrong: a choice is right when it loses no more than the least by the tolerance. A negative flip was right
   * and is wrong; `oldAccuracy` and `newAccuracy` are shares of right choices. Its label of an item is an expert that lost the least.
   */
  readonly flips: Comparison;
}

/** A gate judges, so the budget of the comparison of flips is idle. */
const NO_BUDGET = 1;

/**
 * Compares the choices of two router models on the prompts of a loss table. Cost: three draws for each prompt, and one for each slice that it
 * is in, in each resample. Deterministic for a seed.
 * @throws RangeError without prompts, and for losses that are no finite numbers or below the least
 */
export function compareChoices(prompts: readonly RoutedPrompt[], options: ChoiceOptions): ChoiceComparison {
  requireLosses(prompts);
  const bySlice = new Map<string, RoutedPrompt[]>();
  for (const prompt of prompts)
    for (const slice of new Set(prompt.slices)) {
      const members = bySlice.get(slice);
      if (members) members.push(prompt);
      else bySlice.set(slice, [prompt]);
    }
  const { tolerance } = options;
  const counts = new Map([...bySlice].map(([slice, members]) => [slice, flipCounts(members, tolerance)]));
  const flips = comparePairs(
    {
      all: flipCounts(prompts, tolerance),
      slices: counts,
      items: flippedPrompts(prompts, tolerance),
      // Neither says anything of choices.
      labels: prompts.length,
      answersAreLabels: { before: true, after: true },
    },
    NO_BUDGET,
  );
  return {
    overall: overallChoices(prompts, options),
    slices: flips.slices.map(({ slice }) => choiceFigures(slice, bySlice.get(slice)!, options)),
    flips,
  };
}

interface Rightness {
  readonly before: boolean;
  readonly after: boolean;
}

function rightness({ lossBefore, lossAfter, leastLoss }: RoutedPrompt, tolerance: number): Rightness {
  return { before: lossBefore - leastLoss <= tolerance, after: lossAfter - leastLoss <= tolerance };
}

function flipCounts(prompts: readonly RoutedPrompt[], tolerance: number): FlipCounts {
  const counts = { n: 0, oldRight: 0, newRight: 0, negative: 0, positive: 0, inconsistent: 0 };
  for (const prompt of prompts) {
    const { before, after } = rightness(prompt, tolerance);
    counts.n += 1;
    if (before) counts.oldRight += 1;
    if (after) counts.newRight += 1;
    if (before && !after) counts.negative += 1;
    if (!before && after) counts.positive += 1;
    if (!after && prompt.choiceBefore !== prompt.choiceAfter) counts.inconsistent += 1;
  }
  return counts;
}

/** Negative flips first, by what they lose more, then by id. */
function flippedPrompts(prompts: readonly RoutedPrompt[], tolerance: number): FlippedItem[] {
  return prompts
    .map((prompt) => ({ prompt, ...rightness(prompt, tolerance) }))
    .filter(({ before, after }) => before !== after)
    .sort(
      (a, b) =>
        Number(b.before) - Number(a.before) ||
        changeOf(b.prompt) - changeOf(a.prompt) ||
        (a.prompt.id < b.prompt.id ? -1 : 1),
    )
    .map(({ prompt, before }) => ({
      id: prompt.id,
      negative: before,
      label: prompt.best,
      oldPrediction: prompt.choiceBefore,
      newPrediction: prompt.choiceAfter,
    }));
}

function changeOf({ lossBefore, lossAfter }: RoutedPrompt): number {
  return lossAfter - lossBefore;
}

function requireLosses(prompts: readonly RoutedPrompt[]): void {
  if (prompts.length === 0) throw new RangeError('Comparison of choices: there are no prompts.');
  const odd = prompts.find(
    ({ lossBefore, lossAfter, leastLoss }) =>
      !(Number.isFinite(leastLoss) && Number.isFinite(lossBefore) && Number.isFinite(lossAfter)) ||
      Math.min(lossBefore, lossAfter) < leastLoss,
  );
  if (odd)
    throw new RangeError(
      `Comparison of choices: the prompt ${odd.id} has the losses ${odd.lossBefore} and ${odd.lossAfter} with ${odd.leastLoss} as the least; all are finite, and none is below the least.`,
    );
}
