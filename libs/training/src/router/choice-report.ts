import type { TriedInterval } from './choose-intervals.js';
import type { TriedLearner } from './choose-learner.js';
import type { TriedRecalibration } from './choose-recalibration.js';
import type { FittedCalibration } from './fit-calibration.js';
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
  readonly calibration: CalibrationReport;
}

/** How predictions were calibrated, on rows that neither heads nor maps were fitted on. */
export interface CalibrationReport {
  readonly why: string;
  readonly chosen: string;
  readonly tried: readonly (Omit<TriedRecalibration, 'kind' | 'scope'> & { readonly way: string })[];
  /** By model: whether its intervals are scaled by region, and how both kinds held. */
  readonly intervals: readonly {
    readonly expert: string;
    readonly scaled: boolean;
    readonly tried: readonly TriedInterval[];
  }[];
  readonly regions: number;
}

const RULE =
  'Five-fold cross-validation over the train and validation parts. costRegret is the mean over the cost weights (lambdas; the first counts half) of loss plus weighed cost beyond the least. The simplest learner within one standard error of the least is taken; behind and behindError are the paired difference to it.';

/** The report of a choice. */
export function choiceReport({
  choice,
  encoder,
  counts,
  calibration,
  experts,
}: Pick<TrainedRouter, 'choice' | 'encoder' | 'counts' | 'calibration' | 'experts'>): ChoiceReport {
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
    calibration: calibrationReport(calibration, experts),
  };
}

function calibrationReport(
  { recalibration, intervals, regionCount }: FittedCalibration,
  experts: readonly string[],
): CalibrationReport {
  return {
    why: recalibration.why,
    chosen: wayOf(recalibration.chosen),
    tried: recalibration.tried.map(({ kind, scope, ...figures }) => ({
      way: wayOf({ kind, scope }),
      ...shortened(figures),
    })),
    intervals: intervals.map(({ interval, tried }, k) => ({
      expert: experts[k] ?? '',
      scaled: interval.scales !== undefined,
      tried: tried.map(({ scaled, ...figures }) => ({ scaled, ...shortened(figures) })),
    })),
    regions: regionCount,
  };
}

const wayOf = ({ kind, scope }: Pick<TriedRecalibration, 'kind' | 'scope'>) =>
  kind === 'none' ? kind : `${kind}, ${scope === 'all' ? 'one map for all' : 'a map for each'}`;

function shortened<T extends Readonly<Record<string, number>>>(figures: T): T {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, short(value)])) as T;
}

/** Learner with its setting, in words. */
export function nameOf({ learner, setting }: Pick<TriedLearner, 'learner' | 'setting'>): string {
  return `${learner} (${setting})`;
}

const short = (value: number) => Number(value.toFixed(6));
