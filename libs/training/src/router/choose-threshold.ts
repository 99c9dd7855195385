import type { RegretJudge } from './choose-learner.js';
import { mean, standardError } from './routed-choices.js';

/** Losses of rows by both stages, by heads that had not seen the row, and how near the first stage finds a rival. */
export interface StagedRows {
  /** [rows, candidates] */
  readonly first: Float64Array;
  readonly second: Float64Array;
  readonly candidates: number;
  /** Of each row, by intervals that had not seen it; Infinity where they exclude all others. */
  readonly gaps: Float64Array;
}

/** A threshold, judged on rows that neither heads nor intervals had seen. */
export interface TriedThreshold {
  readonly threshold: number;
  /** Share of the rows that the second stage decides. */
  readonly share: number;
  /** As in the choice of a learner. */
  readonly regret: number;
  readonly costRegret: number;
  /** How much worse than the best threshold, and the standard error of that difference. */
  readonly behind: number;
  readonly behindError: number;
}

/** A chosen threshold. */
export interface ThresholdChoice {
  readonly tried: readonly TriedThreshold[];
  readonly chosen: TriedThreshold;
  /** The second stage for every prompt. */
  readonly always: Pick<TriedThreshold, 'regret' | 'costRegret'>;
  /** How much less the chosen one loses than the first stage alone, and the standard error of that. */
  readonly gain: number;
  readonly gainError: number;
  /** True when that is within one standard error: a router model with the first stage alone would do. */
  readonly firstWouldDo: boolean;
  /** Losses of the rows with the chosen threshold: [rows, candidates]. */
  readonly predicted: Float64Array;
  /** Rows that the second stage decides. */
  readonly isSecond: readonly boolean[];
  /** One or two sentences. */
  readonly why: string;
}

/** Thresholds that are tried beside 0: one for each such share of the rows that have a rival. */
const STEPS = 20;
/** Thresholds are multiples of this, in the loss unit. */
const GRAIN = 1e-6;

/**
 * The cheapest threshold within one standard error of the best: the one that sends the fewest rows on. Judged by the same regret as
 * learners, over all cost weights.
 */
export function chooseThreshold(rows: StagedRows, judge: RegretJudge): ThresholdChoice {
  const judged = thresholdsOf(rows.gaps).map((threshold) => {
    const isSecond = Array.from(rows.gaps, (gap) => gap < threshold);
    return { threshold, isSecond, share: mean(isSecond.map(Number)), ...judge.of(mixed(rows, isSecond)) };
  });
  const least = judged.reduce((a, b) => (b.costRegret < a.costRegret ? b : a));
  const tried = judged.map(({ threshold, share, regret, costRegret, perRow }): TriedThreshold => {
    const beyond = perRow.map((own, row) => own - least.perRow[row]!);
    const behind = { behind: mean(beyond), behindError: standardError(beyond) };
    return { threshold, share, regret, costRegret, ...behind };
  });
  const at = tried.findIndex(({ behind, behindError }) => behind <= behindError);
  const [chosen, taken, first] = [tried[at]!, judged[at]!, judged[0]!];
  const gains = first.perRow.map((own, row) => own - taken.perRow[row]!);
  const { regret, costRegret } = judge.of(rows.second);
  const figures = {
    tried,
    chosen,
    always: { regret, costRegret },
    gain: mean(gains),
    gainError: standardError(gains),
    firstWouldDo: mean(gains) <= standardError(gains),
  };
  return {
    ...figures,
    predicted: taken.predicted,
    isSecond: taken.isSecond,
    why: reasonOf(figures, tried[judged.indexOf(least)]!),
  };
}

/** 0 and others, rising; with the last every row that has a rival goes on. */
function thresholdsOf(gaps: Float64Array): number[] {
  const finite = gaps.filter(Number.isFinite).sort();
  const steps = Array.from({ length: STEPS }, (_, at) => Math.ceil(((at + 1) * finite.length) / STEPS) - 1);
  // Just above the gap, so that its row is one of those below.
  const above = steps.flatMap((at) => (finite[at] === undefined ? [] : [Math.floor(finite[at] / GRAIN) + 1]));
  return [0, ...[...new Set(above)].map((grains) => Number((grains * GRAIN).toFixed(6)))];
}

function mixed({ first, second, candidates }: StagedRows, isSecond: readonly boolean[]): Float64Array {
  return first.map((loss, at) => (isSecond[Math.floor(at / candidates)] ? second[at]! : loss));
}

function reasonOf(
  {
    tried,
    chosen,
    always,
    gain,
    gainError,
    firstWouldDo,
  }: Omit<ThresholdChoice, 'predicted' | 'isSecond' | 'why'>,
  best: TriedThreshold,
): string {
  const short = (value: number) => value.toFixed(4);
  const share = ({ share: own }: TriedThreshold) => `${(100 * own).toFixed(1)} %`;
  const alone = `the first stage alone has a regret of ${short(tried[0]!.costRegret)}, the second alone ${short(always.costRegret)}`;
  const taken =
    chosen.threshold === 0
      ? `The threshold is 0, so that no prompt goes to the second stage: ${alone}, and the best threshold, ${best.threshold}, ${short(best.costRegret)}, within one standard error (${short(chosen.behindError)})`
      : `Below a gap of ${chosen.threshold}, ${share(chosen)} of the prompts go to the second stage, for a regret of ${short(chosen.costRegret)}; ${alone}. It is the cheapest threshold within one standard error of the best, ${best.threshold} (${share(best)}, ${short(best.costRegret)})`;
  return firstWouldDo
    ? `${taken}. The cascade is not better than fast by more than one standard error (${short(gain)} +- ${short(gainError)}): the encoder "fast" would do.`
    : `${taken}. It is better than fast by ${short(gain)} +- ${short(gainError)}.`;
}
