import { ThalamusError } from '@thalamus/errors';

/** How far, how fast and for how long outcomes move a prediction. */
export interface CorrectionSettings {
  /** Outcomes that speak for no correction at all: with as many of its own a residual counts half. Above 0. */
  readonly priorWeight: number;
  /** Largest correction in either direction, in the loss unit. Above 0. */
  readonly bound: number;
  /** Time in which the weight of an outcome halves, milliseconds. Above 0. */
  readonly halfLifeMs: number;
  /** Outcomes after which the weight of an earlier one has fallen to 1/e; also the most that weights can sum to. 1 or more. */
  readonly memory: number;
}

/** What outcomes of one expert version in one region have said, as of a moment. Plain numbers: it can be written and read back. */
export interface CorrectionState {
  /** Decayed sum of observed less predicted loss, in the loss unit. */
  readonly residualSum: number;
  /** Decayed number of outcomes. */
  readonly weight: number;
  /** Moment that both are of, Unix milliseconds. */
  readonly atMs: number;
  /** Moment of the first outcome, Unix milliseconds. */
  readonly sinceMs: number;
}

/** One outcome. */
export interface LossResidual {
  /** Observed less predicted loss, in the loss unit. */
  readonly residual: number;
  /** Unix milliseconds. */
  readonly atMs: number;
}

/** Weight below which nothing is left of a correction. */
const NEGLIGIBLE_WEIGHT = 0.01;

/** @throws CONFIG_INVALID when a setting is out of its range. */
export function checkCorrectionSettings(settings: CorrectionSettings): void {
  const { priorWeight, bound, halfLifeMs, memory } = settings;
  for (const [name, value, least] of [
    ['priorWeight', priorWeight, Number.MIN_VALUE],
    ['bound', bound, Number.MIN_VALUE],
    ['halfLifeMs', halfLifeMs, Number.MIN_VALUE],
    ['memory', memory, 1],
  ] as const)
    if (!(value >= least && Number.isFinite(value)))
      throw new ThalamusError(
        'CONFIG_INVALID',
        `Correction of losses: ${name} is ${value}; give a finite number ${least === 1 ? 'of 1 or more' : 'above 0'}.`,
      );
}

/**
 * The state after one more outcome. A fold: states depend on the outcomes and their order alone, so that whoever reads the
 * same log has the same state, also when somebody else has folded its beginning. An outcome that is older than the state
 * counts for what is left of it by then. One that is no finite number changes nothing.
 */
export function foldOutcome(
  state: CorrectionState | undefined,
  { residual, atMs }: LossResidual,
  settings: CorrectionSettings,
): CorrectionState | undefined {
  if (!Number.isFinite(residual) || !Number.isFinite(atMs)) return state;
  if (!state) return { residualSum: residual, weight: 1, atMs, sinceMs: atMs };
  const now = Math.max(state.atMs, atMs);
  const earlier = decayTo(state, now, settings);
  const keep = Math.exp(-1 / settings.memory);
  const own = halved(now - atMs, settings);
  return {
    residualSum: earlier.residualSum * keep + residual * own,
    weight: earlier.weight * keep + own,
    atMs: now,
    sinceMs: Math.min(state.sinceMs, atMs),
  };
}

/** The state as of a later moment; as it is for one that is not later. */
export function decayTo(
  state: CorrectionState,
  atMs: number,
  settings: Pick<CorrectionSettings, 'halfLifeMs'>,
): CorrectionState {
  if (!(atMs > state.atMs)) return state;
  const left = halved(atMs - state.atMs, settings);
  return { ...state, residualSum: state.residualSum * left, weight: state.weight * left, atMs };
}

/**
 * What is added to the predicted loss, in the loss unit: the mean residual, shrunk towards 0 as if `priorWeight` outcomes
 * had had none, within the bound. As of the moment of the state.
 */
export function correctionOf(state: CorrectionState | undefined, settings: CorrectionSettings): number {
  if (!state || isNegligible(state)) return 0;
  const mean = state.residualSum / (state.weight + settings.priorWeight);
  return Math.min(settings.bound, Math.max(-settings.bound, mean));
}

/** True when so little is left that the state can be forgotten. */
export function isNegligible(state: CorrectionState): boolean {
  return state.weight < NEGLIGIBLE_WEIGHT;
}

function halved(ageMs: number, { halfLifeMs }: Pick<CorrectionSettings, 'halfLifeMs'>): number {
  return 2 ** (-ageMs / halfLifeMs);
}
