import { ThalamusError } from '@thalamus/errors';
import type { MergedGraph } from '@thalamus/model-merge';
import { argMax } from '@thalamus/tensor';

/** Largest difference of a probability between the graph and a parent that passes. */
export const PARITY_TOLERANCE = 1e-4;

/** A row that is compared. */
export interface CheckedRow {
  readonly text: string;
  /** Empty where it is not known. */
  readonly label: string;
  /** Index of its parent in the graph. */
  readonly parent: number;
}

/** What the graph says of a row. */
export interface RowAnswer {
  /** Index of the parent with the largest weight of the router. */
  readonly routed: number;
  /** Index of the parent that is to answer. */
  readonly expected: number;
  /** Index of the parent that answered. */
  readonly chosen: number;
  /** float32 [labels] over the union. */
  readonly scores: Float32Array;
  /** Own probabilities of each parent. */
  readonly own: readonly Float32Array[];
}

/** What is known of a parent. */
export interface TalliedParent {
  readonly name: string;
  readonly labels: readonly string[];
  /** Whether the graph gives its own answer where another parent was chosen; zeros otherwise. */
  readonly answersAlways: boolean;
}

/** How a parent fares inside the composition. */
export interface ParentParity {
  readonly name: string;
  /** Rows with a label. */
  readonly n: number;
  /** Right answers of the parent alone, of those rows. */
  readonly rightAlone: number;
  /** Right answers when the router chooses. */
  readonly rightRouted: number;
  /** Rows that the router gives to this parent, of those rows. */
  readonly routedHere: number;
}

/** What the check found. */
export interface ParityReport {
  /**
   * Largest difference of a probability: the merged answer with the task named and without, every probe on every row, and
   * every low-rank parent where it was chosen.
   */
  readonly maxAbs: number;
  /** Rows that were compared. */
  readonly n: number;
  readonly parents: readonly ParentParity[];
}

/** Compares row by row, and counts. */
export class ParityTally {
  private maxAbs = 0;
  private readonly counts: { n: number; rightAlone: number; rightRouted: number; routedHere: number }[];
  /** Where each label of each parent stands in the union. */
  private readonly positions: readonly (readonly number[])[];

  constructor(
    private readonly graph: MergedGraph,
    private readonly parents: readonly TalliedParent[],
  ) {
    this.counts = parents.map(() => ({ n: 0, rightAlone: 0, rightRouted: 0, routedHere: 0 }));
    const union = new Map(graph.labels.map((label, index) => [label, index]));
    this.positions = parents.map(({ labels }) => labels.map((label) => union.get(label) ?? -1));
  }

  /**
   * `alone` holds the probabilities of each parent by itself: of those that answer always, of the row's own and the routed.
   * @throws COMPOSITION_REFUSED
   */
  add(row: CheckedRow, answer: RowAnswer, alone: readonly (Float64Array | undefined)[]): void {
    const { chosen, expected, routed } = answer;
    const nameOf = (index: number) => this.parents[index]?.name ?? String(index);
    if (chosen !== expected) throw refused(`${nameOf(chosen)} answered where ${nameOf(expected)} was chosen`);
    this.parents.forEach(({ name, labels, answersAlways }, parent) => {
      const isGiven = answersAlways || parent === chosen;
      const truth = isGiven ? alone[parent] : new Float64Array(labels.length);
      this.compare(truth, answer.own[parent], name);
    });
    this.compare(this.spread(alone[chosen], chosen), answer.scores, nameOf(chosen));
    this.count(row, alone, routed);
  }

  report(n: number): ParityReport {
    const parents = this.parents.map(({ name }, index) => ({
      name,
      ...(this.counts[index] as (typeof this.counts)[number]),
    }));
    return { maxAbs: this.maxAbs, n, parents };
  }

  private compare(truth: Float64Array | undefined, got: Float32Array | undefined, parent: string): void {
    if (truth?.length !== got?.length) throw refused(`${parent} has another number of labels in it`);
    truth?.forEach((value, index) => {
      const difference = Math.abs(value - (got?.[index] ?? NaN));
      // Written so that a result that is not a number fails.
      if (!(difference < PARITY_TOLERANCE))
        throw refused(
          `a probability is off by ${difference.toPrecision(3)} from ${parent} alone, and ${PARITY_TOLERANCE} is allowed`,
        );
      this.maxAbs = Math.max(this.maxAbs, difference);
    });
  }

  /** Probabilities of a parent at their places in the union. */
  private spread(probabilities: Float64Array | undefined, parent: number): Float64Array {
    const result = new Float64Array(this.graph.labels.length);
    this.positions[parent]?.forEach((position, index) => (result[position] = probabilities?.[index] ?? NaN));
    return result;
  }

  private count(row: CheckedRow, alone: readonly (Float64Array | undefined)[], routed: number): void {
    if (row.label === '') return;
    const counts = this.counts[row.parent] as (typeof this.counts)[number];
    const answer = (parent: number) => this.parents[parent]?.labels[argMax(alone[parent] ?? [])];
    counts.n += 1;
    if (answer(row.parent) === row.label) counts.rightAlone += 1;
    if (answer(routed) === row.label) counts.rightRouted += 1;
    if (routed === row.parent) counts.routedHere += 1;
  }
}

/** The refusal of a graph that does not do what its parents do. */
export function refused(reason: string): ThalamusError {
  return new ThalamusError(
    'COMPOSITION_REFUSED',
    `The composed graph does not do what its parents do: ${reason}. Nothing was kept.`,
  );
}
