import {
  answerColumn,
  answerModel,
  runCascade,
  type CascadeModel,
  type CascadeRule,
  type ServiceAnswer,
} from '@thalamus/routing';
import { mean } from '../router/routed-choices.js';

/** A row of measured answers. */
export interface AnsweredRow {
  /** Index of the true label. */
  readonly truth: number;
  /** Of each service. */
  readonly answers: readonly ServiceAnswer[];
}

/** One way to run a cascade, judged on rows that its model was not fitted on. */
export interface TriedCascade {
  /** Bins of confidence, about. */
  readonly bins: number;
  /** How much an answer counts beside others. */
  readonly evidence: number;
  readonly lambda: number;
  readonly accuracy: number;
  /** Mean of a row. */
  readonly price: number;
}

/** A cascade that is ready to run. */
export interface FittedCascade {
  readonly model: CascadeModel;
  readonly rule: CascadeRule;
  readonly expected: TriedCascade;
}

const BINS = [4, 8] as const;
const EVIDENCE = [0.75, 1] as const;
const FOLDS = 5;
/** Rows that the smoothing counts as, spread like the answers of the service to any label. */
const SMOOTHING = 8;
const STEPS = 36;

/** Judges all settings by cross-validation; the order of rows is taken as chance. */
export function tryCascades(
  rows: readonly AnsweredRow[],
  labels: number,
  prices: readonly number[],
): TriedCascade[] {
  const lambdas = lambdasFor(prices);
  return BINS.flatMap((bins) =>
    EVIDENCE.flatMap((evidence) => {
      const models = Array.from({ length: FOLDS }, (_, fold) =>
        cascadeModel(
          rows.filter((_, at) => at % FOLDS !== fold),
          { labels, bins, evidence },
        ),
      );
      return lambdas.map((lambda): TriedCascade => {
        const outcomes = rows.map((row, at) => outcomeOf(models[at % FOLDS]!, { prices, lambda }, row));
        return { bins, evidence, lambda, ...meansOf(outcomes) };
      });
    }),
  );
}

/**
 * The cascade with the most right answers at no more than a mean price of `budget`, fitted on all rows.
 * @throws RangeError when no cascade is that cheap
 */
export function fitCascade(
  rows: readonly AnsweredRow[],
  labels: number,
  prices: readonly number[],
  tried: readonly TriedCascade[],
  budget: number,
): FittedCascade {
  const affordable = tried.filter(({ price }) => price <= budget);
  if (affordable.length === 0)
    throw new RangeError(
      `Fitting a cascade: no cascade costs ${budget} or less for a row; the cheapest service costs ${Math.min(...prices)}. Allow more.`,
    );
  const expected = affordable.reduce((a, b) => (b.accuracy > a.accuracy ? b : a));
  const { bins, evidence, lambda } = expected;
  return { model: cascadeModel(rows, { labels, bins, evidence }), rule: { prices, lambda }, expected };
}

/** Whether each row was answered right (1 or 0), and its price. */
export function judgeCascade(
  { model, rule }: Pick<FittedCascade, 'model' | 'rule'>,
  rows: readonly AnsweredRow[],
): { readonly right: Float64Array; readonly prices: Float64Array } {
  const outcomes = rows.map((row) => outcomeOf(model, rule, row));
  return {
    right: Float64Array.from(outcomes, ({ right }) => right),
    prices: Float64Array.from(outcomes, ({ price }) => price),
  };
}

/** Counts of what services say by the true label, smoothed towards what they say to any. */
export function cascadeModel(
  rows: readonly AnsweredRow[],
  { labels, bins, evidence }: { readonly labels: number; readonly bins: number; readonly evidence: number },
): CascadeModel {
  const truths = new Float64Array(labels).fill(1);
  for (const { truth } of rows) truths[truth]! += 1;
  const services = (rows[0]?.answers ?? []).map((_, service) => {
    const edges = quantileEdges(
      rows.map(({ answers }) => answers[service]!.confidence),
      bins,
    );
    return answerModel(edges, likelihoodOf(rows, service, labels, edges), evidence);
  });
  return { labels, prior: truths.map((count) => count / (rows.length + labels)), services };
}

function likelihoodOf(
  rows: readonly AnsweredRow[],
  service: number,
  labels: number,
  confidenceEdges: readonly number[],
): Float64Array {
  const columns = labels * (confidenceEdges.length + 1);
  const overall = new Float64Array(columns).fill(1 / columns);
  const counts = new Float64Array(labels * columns);
  const truths = new Float64Array(labels);
  for (const { truth, answers } of rows) {
    const column = answerColumn(confidenceEdges, answers[service]!);
    overall[column]! += 1;
    counts[truth * columns + column]! += 1;
    truths[truth]! += 1;
  }
  return counts.map((count, at) => {
    const share = overall[at % columns]! / (rows.length + 1);
    return (count + SMOOTHING * share) / (truths[Math.floor(at / columns)]! + SMOOTHING);
  });
}

/** Ends of bins with about as many values each; fewer where values are equal. */
function quantileEdges(values: readonly number[], bins: number): number[] {
  const sorted = [...values].sort((a, b) => a - b);
  const edges = Array.from(
    { length: bins - 1 },
    (_, at) => sorted[Math.floor(((at + 1) * sorted.length) / bins)]!,
  );
  return [...new Set(edges)].filter((edge) => edge < sorted.at(-1)!);
}

/** Weights of the price from none to one at which no second service is worth asking, by even ratios. */
function lambdasFor(prices: readonly number[]): number[] {
  const dearest = Math.max(...prices);
  return [0, ...Array.from({ length: STEPS }, (_, at) => (1e-4 * 1.34 ** at) / dearest)];
}

function outcomeOf(model: CascadeModel, rule: CascadeRule, row: AnsweredRow) {
  const { label, price } = runCascade(model, rule, (service) => row.answers[service]!);
  return { right: Number(label === row.truth), price };
}

function meansOf(outcomes: readonly { readonly right: number; readonly price: number }[]) {
  return {
    accuracy: mean(outcomes.map(({ right }) => right)),
    price: mean(outcomes.map(({ price }) => price)),
  };
}
