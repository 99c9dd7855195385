import type { TriedInterval } from './choose-intervals.js';
import type { LearnerChoice, TriedLearner } from './choose-learner.js';
import type { MarginChoice, TriedMargin } from './choose-margin.js';
import type { TriedRecalibration } from './choose-recalibration.js';
import type { ThresholdChoice } from './choose-threshold.js';
import type { FittedCalibration } from './fit-calibration.js';
import type { TrainedRouter, TrainedSecondStage } from './train-router.js';

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
  /** Where one model is preferred. */
  readonly margin?: MarginReport;
  /** Of a cascade: the same of its second stage, and when that one decides. */
  readonly second?: Pick<ChoiceReport, 'why' | 'chosen' | 'tried'> & { readonly stages: StagesReport };
}

/** By how much another model must be better before a prompt leaves the preferred one. */
export interface MarginReport {
  readonly why: string;
  readonly rule: string;
  readonly preferred: string;
  readonly margin: number;
  /** Share of the rows that leave it. */
  readonly share: number;
  readonly tried: readonly TriedMargin[];
}

/** When the second stage decides. */
export interface StagesReport extends Omit<ThresholdChoice, 'chosen' | 'predicted' | 'isSecond'> {
  readonly rule: string;
  readonly threshold: number;
  readonly margin: number;
  /** Share of the rows that the second stage decides. */
  readonly share: number;
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

const STAGES_RULE =
  'A prompt goes to the second stage when a model other than the best may be better by more than the margin, by the intervals of the first stage, and the nearest such model is less than the threshold behind. Thresholds are judged on rows that neither heads nor intervals had seen, by costRegret; the one with the smallest share within one standard error of the least is taken. always: the second stage for every row.';

const MARGIN_RULE =
  'The largest margin within one standard error of the least loss, on rows that the heads had not seen; none leaves where that is not better by two standard errors. The margin is part of what the heads say of all models but the preferred one; intervals are around that.';

/** The report of a choice. */
export function choiceReport({
  choice,
  margin,
  second,
  encoder,
  counts,
  calibration,
  experts,
}: Pick<
  TrainedRouter,
  'choice' | 'margin' | 'second' | 'encoder' | 'counts' | 'calibration' | 'experts'
>): ChoiceReport {
  return {
    ...learnerReport(choice),
    rule: RULE,
    encoder,
    rows: counts.train + counts.validation,
    lambdas: choice.lambdas.map(short),
    calibration: calibrationReport(calibration, experts),
    ...(margin ? { margin: marginReport(margin, experts) } : {}),
    ...(second ? { second: { ...learnerReport(second.choice), stages: stagesReport(second) } } : {}),
  };
}

function learnerReport(choice: LearnerChoice): Pick<ChoiceReport, 'why' | 'chosen' | 'tried'> {
  return {
    why: choice.why,
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

function marginReport(
  { why, preferred, chosen, tried }: MarginChoice,
  experts: readonly string[],
): MarginReport {
  return {
    why,
    rule: MARGIN_RULE,
    preferred: experts[preferred] ?? '',
    margin: chosen.margin,
    share: short(chosen.share),
    tried: tried.map(shortened),
  };
}

function stagesReport({ gate, thresholds }: TrainedSecondStage): StagesReport {
  const { why, chosen, tried, always, gain, gainError, firstWouldDo } = thresholds;
  return {
    why,
    rule: STAGES_RULE,
    threshold: gate.threshold,
    margin: short(gate.margin),
    share: short(chosen.share),
    firstWouldDo,
    gain: short(gain),
    gainError: short(gainError),
    always: shortened(always),
    tried: tried.map(shortened),
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

function shortened<T extends object>(figures: T): T {
  return Object.fromEntries(
    Object.entries(figures as Readonly<Record<string, number>>).map(([name, value]) => [name, short(value)]),
  ) as T;
}

/** Learner with its setting, in words. */
export function nameOf({ learner, setting }: Pick<TriedLearner, 'learner' | 'setting'>): string {
  return `${learner} (${setting})`;
}

const short = (value: number) => Number(value.toFixed(6));
