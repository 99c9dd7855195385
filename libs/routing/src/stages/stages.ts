import { intervalAround, type LossInterval } from '../calibrated-losses.js';

/** When a prompt goes to the second stage of a router model that has two. */
export interface StageGate {
  /** A gap below this goes on, in the loss unit. 0: none does. Infinity: all do, whatever the intervals say. */
  readonly threshold: number;
  /** By less than this nobody is better in a way that matters, in the loss unit. */
  readonly margin: number;
  /** Of the losses that the first stage's heads give, by candidate. */
  readonly intervals: readonly LossInterval[];
  /** Regions of the first stage's vector space; 1 or more. */
  readonly regions: number;
}

/** What the first stage says of whether a prompt needs the second. */
export interface StageVerdict {
  readonly needsSecond: boolean;
  /** Candidate with the least loss, the first of equals; -1 when no loss is a number. */
  readonly best: number;
  /** Of the candidates that may be better by more than the margin the one with the least loss; -1 when intervals exclude all. */
  readonly rival: number;
  /** Loss of the rival less that of the best; Infinity without a rival. */
  readonly gap: number;
}

/**
 * Whether a prompt needs the second stage, from the losses [candidates] that the first stage's heads give for it. Another candidate may be
 * better by more than the margin when the lower end of its interval lies that far below the upper end of the best one's; the second
 * stage is worth its time when the nearest such candidate is closer than the threshold. Flags are not read: what is predicted
 * for a prompt is the same whatever is weighed, as intervals and bounds on the risk take it to be.
 */
export function stageVerdict(losses: ArrayLike<number>, region: number, gate: StageGate): StageVerdict {
  const best = leastOf(losses, () => true);
  const top = best < 0 ? NaN : intervalAround(losses[best]!, region, gate.intervals[best]).high;
  const rival = leastOf(
    losses,
    (k) => k !== best && top - intervalAround(losses[k]!, region, gate.intervals[k]).low > gate.margin,
  );
  const gap = rival < 0 ? Infinity : losses[rival]! - losses[best]!;
  return { needsSecond: gate.threshold === Infinity || gap < gate.threshold, best, rival, gap };
}

/** Which stage decided, and why. */
export interface DecidingStage {
  readonly stage: 'first' | 'second';
  /** One sentence. */
  readonly reason: string;
}

/** A verdict in words; `experts` are the candidates in their order. */
export function decidingStage(
  { needsSecond, best, rival, gap }: StageVerdict,
  { threshold, margin }: StageGate,
  experts: readonly string[],
): DecidingStage {
  const near = `${experts[rival] ?? ''} may be better than ${experts[best] ?? ''} by more than ${margin.toFixed(3)} and is ${gap.toFixed(3)} behind`;
  if (needsSecond) {
    const why =
      rival < 0
        ? 'it decides for every prompt'
        : `by the first, ${near}, nearer than ${threshold.toFixed(3)}`;
    return { stage: 'second', reason: `The second stage decided: ${why}.` };
  }
  const why =
    rival < 0
      ? `its intervals leave nobody who may be better by more than ${margin.toFixed(3)}`
      : `${near}, no nearer than ${threshold.toFixed(3)}`;
  return { stage: 'first', reason: `The first stage decided: ${why}.` };
}

/** Rows of losses [prompts, candidates] of the first stage that need the second. */
export function rowsForSecond(
  losses: ArrayLike<number>,
  candidates: number,
  regions: ArrayLike<number>,
  gate: StageGate,
): number[] {
  const own = Array.from(losses);
  return Array.from({ length: own.length / candidates }, (_, row) => row).filter(
    (row) =>
      stageVerdict(own.slice(row * candidates, (row + 1) * candidates), regions[row]!, gate).needsSecond,
  );
}

/** Losses of the first stage [prompts, candidates] with some rows taken from those of the second [rows, candidates]. */
export function withSecondLosses<T extends Float32Array | Float64Array>(
  first: T,
  rows: readonly number[],
  second: ArrayLike<number>,
): T {
  const mixed = first.slice() as T;
  const candidates = rows.length === 0 ? 0 : second.length / rows.length;
  rows.forEach((row, at) => {
    for (let k = 0; k < candidates; k++) mixed[row * candidates + k] = second[at * candidates + k]!;
  });
  return mixed;
}

/** Region of a prompt by where its vector lies and by which stage decided: the second stage has regions of its own. */
export function regionOfStage(
  region: number,
  isSecond: boolean,
  { regions }: Pick<StageGate, 'regions'>,
): number {
  return isSecond ? regions + region : region;
}

function leastOf(losses: ArrayLike<number>, isAsked: (k: number) => boolean): number {
  let least = -1;
  for (let k = 0; k < losses.length; k++)
    if (isAsked(k) && (least < 0 ? !Number.isNaN(losses[k]!) : losses[k]! < losses[least]!)) least = k;
  return least;
}
