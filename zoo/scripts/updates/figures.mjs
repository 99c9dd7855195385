// Figures of one arm of one pair, pooled over the test rows of its tasks and seeds.
import { pairedBootstrap, relativeCut, wilson } from '@thalamus/compatibility';
import { decodeAnswers } from './answers.mjs';

const SEED = 7;
const RESAMPLES = 1_000;

/** Rows of an arm beside those of v1 and others, over the tasks and seeds that all of them have. */
export function pooled(lines, pair, arms) {
  const of = (arm) => lines.filter((line) => line.pair === pair && line.arm === arm);
  const key = ({ task, seed }) => `${task} ${seed}`;
  const runs = of(arms[0]).filter((line) =>
    arms.every((arm) => of(arm).some((each) => key(each) === key(line))),
  );
  const rows = runs.flatMap((run) => {
    const truth = decodeAnswers(run.truth);
    const answers = arms.map((arm) => decodeAnswers(of(arm).find((each) => key(each) === key(run)).answers));
    // The same text under another seed is the same item.
    return truth.map((label, at) => ({
      item: `${run.task} ${at}`,
      label,
      ...Object.fromEntries(arms.map((arm, place) => [arm, answers[place][at]])),
    }));
  });
  return { rows, runs: runs.map(({ task, seed }) => ({ task, seed })) };
}

const isRight = (row, arm) => row[arm] === row.label;
const flips = (rows, arm, from = 'v1') => rows.map((row) => isRight(row, from) && !isRight(row, arm));
const groupsOf = (rows) => rows.map(({ item }) => item);

export function negativeFlips(rows, arm, from) {
  return wilson(flips(rows, arm, from).filter(Boolean).length, rows.length);
}

export function positiveFlips(rows, arm) {
  return rows.filter((row) => !isRight(row, 'v1') && isRight(row, arm)).length / rows.length;
}

/** Wrong, and another answer than that of v1: the paper's NFR of multiple choice. */
export function inconsistentFlips(rows, arm) {
  return rows.filter((row) => !isRight(row, arm) && row[arm] !== row.v1).length / rows.length;
}

export function accuracy(rows, arm) {
  return rows.filter((row) => isRight(row, arm)).length / rows.length;
}

/** Share of what was right that still is. */
export function backwardTrust(rows, arm) {
  const was = rows.filter((row) => isRight(row, 'v1'));
  return was.filter((row) => isRight(row, arm)).length / was.length;
}

/** By what share the flips of `arm` are fewer than those of `than`. */
export function cut(rows, arm, than) {
  return relativeCut(flips(rows, than), flips(rows, arm), {
    seed: SEED,
    resamples: RESAMPLES,
    groups: groupsOf(rows),
  });
}

/** Accuracy of `arm` less that of `than`. */
export function gain(rows, arm, than) {
  return pairedBootstrap(
    rows.map((row) => Number(isRight(row, arm)) - Number(isRight(row, than))),
    { seed: SEED, resamples: RESAMPLES, groups: groupsOf(rows) },
  );
}
