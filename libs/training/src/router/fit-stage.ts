import type { LossHeads } from '@thalamus/routing';
import { createRandom } from '@thalamus/tensor';
import {
  chooseLearner,
  fitChosen,
  type ChoiceHooks,
  type ChoiceRows,
  type LearnerChoice,
} from './choose-learner.js';
import { centredLosses } from './fit-calibration.js';
import { rescaled, type LearnerFamily } from './learners.js';
import { pickRows } from './loss-matrix.js';

/** Heads over one vector of a prompt. */
export interface FittedStage {
  /** Brought to the mean of each candidate. */
  readonly heads: LossHeads;
  readonly choice: LearnerChoice;
  /** Rows that learners were judged on; of the same rows, folds and seed the same. */
  readonly judged: ChoiceRows;
  /** Losses of these by heads that had not seen the row, brought to the mean of each candidate: [rows, candidates]. */
  readonly predicted: Float64Array;
}

/** What stages of one router share. */
export interface StageFit {
  readonly learners: readonly LearnerFamily[];
  readonly seed: number;
  readonly onChosen: () => void | Promise<void>;
}

/** Most rows that learners are judged on; the one that is chosen is fitted on all. */
const MOST_CHOICE_ROWS = 4000;

/** Chooses a learner by cross-validation, and fits it on all rows. */
export async function fitStage(
  rows: ChoiceRows,
  { learners, seed, onChosen }: StageFit,
  hooks: ChoiceHooks,
): Promise<FittedStage> {
  const judged = someRows(rows, seed);
  const choice = await chooseLearner(judged, learners, seed, hooks);
  await onChosen();
  const { slope, offset, predicted } = centredLosses(choice.chosen.predicted, judged);
  const heads = rescaled(fitChosen(rows, learners, choice.chosen, seed), slope, offset);
  return { heads, choice, judged, predicted };
}

/** All rows, or so many of them by chance that a choice takes minutes at most. */
function someRows(all: ChoiceRows, seed: number): ChoiceRows {
  const count = all.folds.length;
  if (count <= MOST_CHOICE_ROWS) return all;
  const order = createRandom(seed).shuffle(Array.from({ length: count }, (_, at) => at));
  const kept = order.slice(0, MOST_CHOICE_ROWS).sort((a, b) => a - b);
  return {
    ...all,
    features: pickRows(all.features, all.dimension, kept),
    losses: pickRows(all.losses, all.candidates, kept),
    folds: Uint8Array.from(kept, (row) => all.folds[row]!),
  };
}
