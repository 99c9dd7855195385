import type { FittedStage } from './fit-stage.js';
import { rescaled } from './learners.js';
import type { RoutingTable } from './routing-table.js';
import { choicesOf, lossesOf, mean, standardError } from './routed-choices.js';

/** A margin, judged on rows that the heads had not seen. */
export interface TriedMargin {
  /** By how much another candidate must be predicted to lose less, in the loss unit. */
  readonly margin: number;
  /** Share of the rows that leave the preferred candidate. */
  readonly share: number;
  readonly loss: number;
  /** How much more than with the best margin, and the standard error of that over rows. */
  readonly behind: number;
  readonly behindError: number;
}

/** When a prompt leaves the candidate that all go to unless another is better. */
export interface MarginChoice {
  /** Column of the preferred candidate. */
  readonly preferred: number;
  readonly tried: readonly TriedMargin[];
  readonly chosen: TriedMargin;
  /** One sentence. */
  readonly why: string;
}

/** More than any two errors differ: no prompt leaves. */
const NEVER = 2;
/** Margins that are tried where losses are errors; none is 0, so that equals stay. */
const MARGINS = [0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, NEVER] as const;

/** Standard errors by which letting prompts leave must be better than letting none. */
const SURE = 2;

/**
 * Chooses by how much another candidate must be better before a prompt leaves the preferred one: of the margins within one standard error
 * of the least loss the largest; and none leaves unless the least loss is better than that by two standard errors. `predicted` and `losses` [rows, candidates] are errors, the
 * first by heads that had not seen the row.
 */
export function chooseMargin(
  predicted: Float64Array,
  losses: Float64Array,
  candidates: number,
  preferred: number,
): MarginChoice {
  const costs = Float64Array.from({ length: candidates }, (_, k) => (k === preferred ? 0 : 1));
  const judged = MARGINS.map((margin) => {
    const chosen = choicesOf({ predicted, measured: losses, candidates, costs, lambda: margin });
    const share = mean(Array.from(chosen, (k) => (k === preferred ? 0 : 1)));
    return { margin, share, perRow: lossesOf(chosen, losses, candidates) };
  });
  const least = judged.reduce((a, b) => (mean(b.perRow) < mean(a.perRow) ? b : a));
  const tried = judged.map(({ perRow, ...item }): TriedMargin => {
    const beyond = perRow.map((loss, row) => loss - least.perRow[row]!);
    return { ...item, loss: mean(perRow), behind: mean(beyond), behindError: standardError(beyond) };
  });
  const never = tried[tried.length - 1]!;
  const isSure = never.behind > SURE * never.behindError;
  const within = tried.filter(({ behind, behindError }) => behind <= behindError);
  const chosen = isSure ? within[within.length - 1]! : never;
  return { preferred, tried, chosen, why: reasonOf(chosen, tried[judged.indexOf(least)]!) };
}

/** The margin of a training that prefers a model; undefined for one that prefers none. */
export function marginOf(
  training: { readonly table: RoutingTable; readonly encoder: string; readonly preferred?: string },
  { predicted, judged }: FittedStage,
): MarginChoice | undefined {
  const { table, encoder, preferred } = training;
  if (preferred === undefined) return undefined;
  const column = table.models.findIndex(({ expert }) => expert === preferred);
  if (column < 0 || table.unit !== 'error' || encoder === 'cascade')
    throw new RangeError(
      `No margin for ${preferred}: it is a model of the table, losses are errors, and there is one stage.`,
    );
  return chooseMargin(predicted, judged.losses, judged.candidates, column);
}

/** Heads that say `margin` more than they predict for all candidates but the preferred one, and predictions that say so too. */
export function withMargin(stage: FittedStage, choice: MarginChoice | undefined): FittedStage {
  if (!choice) return stage;
  const { candidates } = stage.judged;
  const slope = new Float64Array(candidates).fill(1);
  const offset = slope.map((_, k) => (k === choice.preferred ? 0 : choice.chosen.margin));
  return {
    ...stage,
    heads: rescaled(stage.heads, slope, offset),
    predicted: stage.predicted.map((loss, at) => loss + offset[at % candidates]!),
  };
}

function reasonOf(chosen: TriedMargin, best: TriedMargin): string {
  const share = (value: number) => `${(100 * value).toFixed(1)} %`;
  if (chosen.share === 0)
    return `No prompt leaves: sending ${share(best.share)} away loses ${chosen.behind.toFixed(4)} less, which is not two standard errors (of ${chosen.behindError.toFixed(4)}).`;
  return `A margin of ${chosen.margin} sends ${share(chosen.share)} away; it is the largest within one standard error (${chosen.behindError.toFixed(4)}) of the least loss, ${best.loss.toFixed(4)}.`;
}
