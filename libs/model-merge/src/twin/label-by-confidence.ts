/** What one parent says of texts that nobody labelled. */
export interface ParentAnswers {
  /** Labels that it chooses among, two or more. */
  readonly labels: number;
  /** [texts, labels]: natural logarithms of its probabilities. */
  readonly logProbabilities: Float64Array;
}

/** Whose texts are. */
export interface ConfidentLabels {
  /** Index of the parent that is surest of each text. */
  readonly parents: readonly number[];
  /** By how much it is surer than the next one, in standard deviations; 0 or more. */
  readonly margins: readonly number[];
}

/** Least entropy that is told apart from none, as a share of that of even odds. */
const LEAST = 1e-6;

/**
 * How sure a parent is of each text: minus the logarithm of the entropy of its answer divided by that of even odds, so that two labels
 * and a hundred and fifty have one scale. It is then set against how sure the parent is of all the texts (mean 0, deviation 1): one
 * that is sure of everything it sees says nothing by being sure.
 */
export function standardSureness({ labels, logProbabilities }: ParentAnswers): Float64Array {
  const texts = logProbabilities.length / labels;
  const sure = Float64Array.from({ length: texts }, (_, text) => {
    let entropy = 0;
    for (let label = 0; label < labels; label++) {
      const log = logProbabilities[text * labels + label]!;
      // 0 log 0 is 0.
      if (log > -Infinity) entropy -= Math.exp(log) * log;
    }
    return -Math.log(Math.max(LEAST, entropy / Math.log(labels)));
  });
  const mean = sure.reduce((sum, value) => sum + value, 0) / texts;
  const deviation = Math.sqrt(sure.reduce((sum, value) => sum + (value - mean) ** 2, 0) / texts);
  return sure.map((value) => (deviation > 1e-9 ? (value - mean) / deviation : 0));
}

/** Gives each text to the parent that is surest of it, the first of those that are equally sure. At least two parents. */
export function labelByConfidence(answers: readonly ParentAnswers[]): ConfidentLabels {
  const sure = answers.map(standardSureness);
  const texts = sure[0]?.length ?? 0;
  const best = Array.from({ length: texts }, (_, text) => {
    let [parent, most, next] = [0, -Infinity, -Infinity];
    sure.forEach((of, at) => {
      const value = of[text]!;
      if (value > most) [parent, most, next] = [at, value, most];
      else if (value > next) next = value;
    });
    return { parent, margin: most - next };
  });
  return { parents: best.map(({ parent }) => parent), margins: best.map(({ margin }) => margin) };
}
