import { ThalamusError } from '@thalamus/errors';

/** When an expert counts as drifted. */
export interface DriftSettings {
  /** Mean of observed above predicted loss that is put up with, in the loss unit. Above 0. */
  readonly tolerance: number;
  /** Outcomes to the first false alarm, on average, at the least. Above 1. */
  readonly runLength: number;
}

/** Evidence of drift of one expert version. Plain numbers: it can be written and read back. */
export interface DriftState {
  /** One for each of the bets. */
  readonly evidence: readonly number[];
  /** Outcomes that were seen. */
  readonly outcomes: number;
  /** Decayed sums of predicted and of observed loss over the last outcomes, and their weight: for people to read. */
  readonly predictedSum: number;
  readonly observedSum: number;
  readonly weight: number;
  /** Number of the outcome that raised the alarm, from 1; 0 without one. */
  readonly alarmAt: number;
}

/** One outcome as the watch sees it, in the loss unit. */
export interface PredictedAndObserved {
  readonly predicted: number;
  /** 0 or more. */
  readonly observed: number;
}

/** Share of the fortune that each bet puts on the next loss. */
const BETS = [0.05, 0.1, 0.2, 0.35, 0.55];
/** Weight of an outcome among the recent ones once the next has come. */
const KEEP = 0.98;

/** Nothing seen yet. */
export const NO_DRIFT: DriftState = {
  evidence: BETS.map(() => 0),
  outcomes: 0,
  predictedSum: 0,
  observedSum: 0,
  weight: 0,
  alarmAt: 0,
};

/** @throws CONFIG_INVALID when a setting is out of its range. */
export function checkDriftSettings({ tolerance, runLength }: DriftSettings): void {
  if (!(tolerance > 0 && Number.isFinite(tolerance)))
    throw new ThalamusError('CONFIG_INVALID', `Drift: the tolerance is ${tolerance}; give a loss above 0.`);
  if (!(runLength > 1 && Number.isFinite(runLength)))
    throw new ThalamusError(
      'CONFIG_INVALID',
      `Drift: the run length is ${runLength}; give a number of outcomes above 1.`,
    );
}

/**
 * The state after one more outcome. An e-detector of Shiryaev and Roberts' kind (Shin, Ramdas, Rinaldo, arXiv 2203.03532):
 * each bet f multiplies (evidence + 1) by 1 - f + f * observed / (predicted + tolerance), whose mean is 1 at most as long as
 * losses are, given all before them, on average no more than predicted and tolerated. The alarm is raised when the mean of
 * the bets reaches `runLength`. Without drift the mean evidence after n outcomes is n at most, so the chance of an alarm
 * among the first n is n / runLength at most, and `runLength` outcomes pass before one on average, whatever the
 * distribution of the losses. The alarm stays: evidence is not gathered beyond it. An outcome that is no number changes nothing.
 */
export function watchOutcome(
  state: DriftState,
  outcome: PredictedAndObserved,
  settings: DriftSettings,
): DriftState {
  const predicted = Math.max(0, outcome.predicted);
  const { observed } = outcome;
  if (!Number.isFinite(predicted) || !Number.isFinite(observed) || observed < 0) return state;
  const outcomes = state.outcomes + 1;
  const recent = {
    outcomes,
    predictedSum: state.predictedSum * KEEP + predicted,
    observedSum: state.observedSum * KEEP + observed,
    weight: state.weight * KEEP + 1,
  };
  if (state.alarmAt > 0) return { ...state, ...recent };
  const ratio = observed / (predicted + settings.tolerance);
  const evidence = BETS.map((bet, at) => ((state.evidence[at] ?? 0) + 1) * (1 - bet + bet * ratio));
  const alarmAt = meanOf(evidence) >= settings.runLength ? outcomes : 0;
  return { evidence, ...recent, alarmAt };
}

/** Evidence as one number: the alarm is raised when it reaches the run length. */
export function driftEvidence(state: DriftState): number {
  return meanOf(state.evidence);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
