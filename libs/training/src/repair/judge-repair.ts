import {
  compareVersions,
  pairedBootstrap,
  relativeCut,
  type MeanInterval,
  type Prediction,
  type RelativeCut,
  type SliceComparison,
} from '@thalamus/compatibility';
import { argMax } from '@thalamus/tensor';

/** What a candidate answers to the held-out rows: numbers of labels. */
export type LabelNumbers = readonly number[];

/** What everyone answered to the same held-out rows. */
export interface HeldOutAnswers {
  readonly truth: LabelNumbers;
  readonly old: LabelNumbers;
  readonly new: LabelNumbers;
  readonly repaired: LabelNumbers;
  /** The new version, trained on by the labels of the same rows for as many steps; undefined where that is what was trained. */
  readonly continued: LabelNumbers | undefined;
}

/** Whether a repair holds what the old version had right. */
export type RepairVerdict = 'repaired' | 'not-shown' | 'worse';

/** What the repair does beyond training that goes on. */
export type RepairCredit = 'beyond-control' | 'not-separated' | 'control-better' | 'no-control';

/** Flips before and after, against the old version, on held-out rows; intervals are of 95 %. */
export interface RepairJudgement {
  readonly before: SliceComparison;
  readonly after: SliceComparison;
  readonly continued: SliceComparison | undefined;
  /** Share of the negative flips that are gone. */
  readonly cut: RelativeCut;
  /** Accuracy of the repaired version less that of the new one. */
  readonly accuracyChange: MeanInterval;
  /** Negative flip rate of the control less that of the repaired version; undefined without a control. */
  readonly beyondControl: MeanInterval | undefined;
  readonly verdict: RepairVerdict;
  readonly credit: RepairCredit;
  /** Verdict and credit in words. */
  readonly reason: string;
}

const SEED = 20_261_129;

/**
 * Judges a repair. `repaired`: the interval of the change of flips is below zero, and that of the accuracy is not; `worse`: one of
 * them lies on the wrong side of zero; else `not-shown`. The credit looks at the flips that the control leaves on the same rows: more
 * training alone removes some, too.
 */
export function judgeRepair(answers: HeldOutAnswers): RepairJudgement {
  const { truth, old, continued } = answers;
  const right = (of: LabelNumbers) => truth.map((label, row) => of[row] === label);
  const wasRight = right(old);
  const flips = (of: LabelNumbers) => right(of).map((isRight, row) => wasRight[row] === true && !isRight);
  const versus = (of: LabelNumbers) =>
    compareVersions(predictions(truth, old), predictions(truth, of), 0).overall;
  const [before, after] = [flips(answers.new), flips(answers.repaired)];
  const change = difference(after, before);
  const accuracyChange = difference(right(answers.repaired), right(answers.new));
  const beyondControl = continued && difference(flips(continued), after);
  const isWorse = change.low > 0 || accuracyChange.high < 0;
  const verdict = isWorse ? 'worse' : change.high < 0 ? 'repaired' : 'not-shown';
  const credit = creditOf(beyondControl);
  const judged = {
    before: versus(answers.new),
    after: versus(answers.repaired),
    continued: continued && versus(continued),
    cut: relativeCut(before, after, { seed: SEED }),
    accuracyChange,
    beyondControl,
  };
  return { ...judged, verdict, credit, reason: reasonOf(verdict, credit, judged) };
}

/** Number of the most probable label of each row of log-probabilities [rows, labels]. */
export function chosenLabels(scores: Float64Array, labelCount: number): number[] {
  return Array.from({ length: scores.length / labelCount }, (_, row) =>
    argMax(scores.subarray(row * labelCount, (row + 1) * labelCount)),
  );
}

function predictions(truth: LabelNumbers, given: LabelNumbers): Prediction[] {
  return truth.map((label, row) => ({
    id: String(row),
    label: String(label),
    prediction: String(given[row]),
    slices: [],
  }));
}

const difference = (a: readonly boolean[], b: readonly boolean[]): MeanInterval =>
  pairedBootstrap(
    a.map((value, row) => Number(value) - Number(b[row])),
    { seed: SEED },
  );

function creditOf(beyond: MeanInterval | undefined): RepairCredit {
  if (!beyond) return 'no-control';
  if (beyond.low > 0) return 'beyond-control';
  return beyond.high < 0 ? 'control-better' : 'not-separated';
}

function reasonOf(
  verdict: RepairVerdict,
  credit: RepairCredit,
  {
    before,
    after,
    accuracyChange,
    continued,
  }: Pick<RepairJudgement, 'before' | 'after' | 'accuracyChange' | 'continued'>,
): string {
  const points = (value: number) => (100 * value).toFixed(1);
  const fact = `${after.negativeFlips.count} of ${after.n} held-out rows flip from right to wrong where ${before.negativeFlips.count} did, at ${points(accuracyChange.mean)} points of accuracy (${points(accuracyChange.low)} to ${points(accuracyChange.high)})`;
  const because = {
    repaired: 'fewer than before beyond chance',
    'not-shown': 'too few rows to tell that from chance',
    worse:
      'more flips or less accuracy than before beyond chance: keep the old version, or try another method',
  }[verdict];
  const control = `training on by the labels leaves ${continued?.negativeFlips.count ?? 0}`;
  const owed = {
    'beyond-control': `${control}: the repair does more than that`,
    'not-separated': `${control}: the two are not told apart on these rows`,
    'control-better': `${control}: it does better than the repair; try --method continued`,
    'no-control': 'no control was trained',
  }[credit];
  return `${fact}: ${because}. ${owed[0]!.toUpperCase()}${owed.slice(1)}.`;
}
