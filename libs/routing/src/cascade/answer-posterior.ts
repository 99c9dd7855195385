/** What a service said: the index of a label, and how sure it said it was, on whatever scale it uses. */
export interface ServiceAnswer {
  readonly label: number;
  readonly confidence: number;
}

/** How a service answers, by the true label. */
export interface AnswerModel {
  /** Upper ends of the bins of its confidence, rising; what is above the last falls into one bin more. */
  readonly confidenceEdges: readonly number[];
  /** P(said label, bin | true label): [labels, labels x bins], row-major; each row sums to 1. */
  readonly likelihood: Float64Array;
  /** The same to the power of `evidence`: how much an answer counts beside others. */
  readonly weighed: Float64Array;
}

/** Labels and services of a cascade. */
export interface CascadeModel {
  readonly labels: number;
  /** P(true label): [labels]. */
  readonly prior: Float64Array;
  readonly services: readonly AnswerModel[];
}

/** Column of an answer in `likelihood`. */
export function answerColumn(
  confidenceEdges: readonly number[],
  { label, confidence }: ServiceAnswer,
): number {
  let bin = 0;
  while (bin < confidenceEdges.length && confidence > confidenceEdges[bin]!) bin += 1;
  return label * (confidenceEdges.length + 1) + bin;
}

/**
 * An answer model whose answers count `evidence`, 0 to 1, beside others: services err alike, so that two answers say less than twice
 * as much as one.
 */
export function answerModel(
  confidenceEdges: readonly number[],
  likelihood: Float64Array,
  evidence: number,
): AnswerModel {
  return { confidenceEdges, likelihood, weighed: likelihood.map((value) => value ** evidence) };
}

/** P(true label | answers so far and this one), [labels], which sums to 1. */
export function addAnswer(
  posterior: Float64Array,
  model: CascadeModel,
  service: number,
  answer: ServiceAnswer,
): Float64Array {
  const own = model.services[service]!;
  const columns = own.weighed.length / model.labels;
  const column = answerColumn(own.confidenceEdges, answer);
  const raw = posterior.map((chance, y) => chance * own.weighed[y * columns + column]!);
  const total = raw.reduce((sum, value) => sum + value, 0);
  // An answer that no label can give says nothing.
  return total > 0 ? raw.map((value) => value / total) : posterior;
}

/**
 * How much more often the likeliest label is right once the service has been asked: the expectation of the largest posterior
 * over what it may say, less the largest one now (value of information; Howard 1966).
 */
export function valueOfAnswer(posterior: Float64Array, model: CascadeModel, service: number): number {
  const { likelihood, weighed } = model.services[service]!;
  const columns = weighed.length / model.labels;
  let right = 0;
  for (let column = 0; column < columns; column++) {
    let [largest, chance, total] = [0, 0, 0];
    for (let y = 0; y < model.labels; y++) {
      const at = y * columns + column;
      const after = posterior[y]! * weighed[at]!;
      chance += posterior[y]! * likelihood[at]!;
      total += after;
      if (after > largest) largest = after;
    }
    if (total > 0) right += (chance * largest) / total;
  }
  return right - Math.max(...posterior);
}
