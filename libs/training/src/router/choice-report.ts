import type { TriedLearner } from './choose-learner.js';
import type { TrainedRouter } from './train-router.js';

/** What `choice.json` and the terminal say of a choice. */
export interface ChoiceReport {
  readonly why: string;
  readonly rule: string;
  readonly encoder: string;
  readonly rows: number;
  readonly lambdas: readonly number[];
  readonly chosen: string;
  readonly tried: readonly {
    readonly learner: string;
    readonly setting: string;
    readonly regret: number;
    readonly costRegret: number;
    readonly behind: number;
    readonly behindError: number;
  }[];
}

const RULE =
  'Five-fold cross-validation over the train and validation parts. costRegret is the mean over the cost weights (lambdas; the first counts half) of loss plus weighed cost beyond the least. The simplest learner within one standard error of the least is taken; behind and behindError are the paired difference to it.';

/** The report of a choice. */
export function choiceReport({
  choice,
  encoder,
  counts,
}: Pick<TrainedRouter, 'choice' | 'encoder' | 'counts'>): ChoiceReport {
  return {
    why: choice.why,
    rule: RULE,
    encoder,
    rows: counts.train + counts.validation,
    lambdas: choice.lambdas.map(short),
    chosen: nameOf(choice.chosen),
    tried: choice.tried.map((item) => ({
      learner: item.learner,
      setting: item.setting,
      regret: short(item.regret),
      costRegret: short(item.costRegret),
      behind: short(item.behind),
      behindError: short(item.behindError),
    })),
  };
}

/** Learner with its setting, in words. */
export function nameOf({ learner, setting }: Pick<TriedLearner, 'learner' | 'setting'>): string {
  return `${learner} (${setting})`;
}

const short = (value: number) => Number(value.toFixed(6));
