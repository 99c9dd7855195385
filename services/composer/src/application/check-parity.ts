import { ThalamusError } from '@thalamus/errors';
import type { InferenceSession, Tokenizer } from '@thalamus/inference';
import { parentProbabilities, TWIN_VALUES, type MergedGraph } from '@thalamus/model-merge';
import { argMax, asFloat32, tensor } from '@thalamus/tensor';
import { embedTexts, headLogProbabilities, type BatchEncoder, type LinearHead } from '@thalamus/training';

/** Largest difference of a probability between the graph and a parent that passes. */
export const PARITY_TOLERANCE = 1e-4;

/** A parent as it stands alone. */
export interface ParentAlone {
  readonly name: string;
  readonly labels: readonly string[];
  readonly head: LinearHead;
  /** Rows that nothing was fitted on; the label is empty where it is not known. */
  readonly rows: readonly { readonly text: string; readonly label: string }[];
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
  /** Largest difference of a probability: every head on every row, and the merged answer with the task named and without. */
  readonly maxAbs: number;
  /** Rows that were compared. */
  readonly n: number;
  readonly parents: readonly ParentParity[];
}

/** The graph and the base that it is compared with. */
export interface ParityParts {
  readonly graph: MergedGraph;
  readonly composed: InferenceSession;
  readonly base: BatchEncoder;
  readonly tokenizer: Tokenizer;
  readonly maxTokens: number;
}

const BATCH = 16;

interface Row {
  readonly text: string;
  readonly label: string;
  /** Index of its parent in the graph. */
  readonly parent: number;
}

/**
 * Runs the composed graph on rows of every parent beside the parents themselves: the base by itself and each head on its
 * vectors. Batches mix the parents. Once with the parent named, once with the router choosing.
 * @throws COMPOSITION_REFUSED when a probability is off by more than the tolerance, or the router's choice is not followed
 */
export async function checkParity(
  parts: ParityParts,
  parents: readonly ParentAlone[],
  onProgress: (done: number, total: number) => void,
): Promise<ParityReport> {
  const { graph } = parts;
  const sorted = graph.parents.map((name) => parents.find((parent) => parent.name === name) as ParentAlone);
  const rows = interleaved(sorted);
  const total = 2 * rows.length;
  const { features, width } = await embedTexts(
    parts.base,
    rows.map(({ text }) => text),
    { batchSize: BATCH, onBatch: (done) => onProgress(done, total) },
  );
  const alone = sorted.map(({ head }) => headLogProbabilities(head, features, width).map(Math.exp));
  const tally = new Tally(graph, sorted, alone);
  for (let from = 0; from < rows.length; from += BATCH) {
    const batch = rows.slice(from, from + BATCH);
    // Every other batch leaves the choice to the router.
    const isNamed = (from / BATCH) % 2 === 0;
    tally.add(batch, from, await run(parts, batch, isNamed), isNamed);
    onProgress(rows.length + from + batch.length, total);
  }
  return tally.report(rows.length);
}

/** Rows of all parents in turn, so that batches are mixed. */
function interleaved(parents: readonly ParentAlone[]): Row[] {
  const longest = Math.max(...parents.map(({ rows }) => rows.length));
  return Array.from({ length: longest }, (_, index) =>
    parents.flatMap(({ rows }, parent) => (rows[index] ? [{ ...rows[index], parent }] : [])),
  ).flat();
}

interface Answers {
  readonly weights: Float32Array;
  readonly scores: Float32Array;
  readonly chosen: BigInt64Array;
  /** Probabilities of each parent. */
  readonly own: readonly Float32Array[];
}

async function run(parts: ParityParts, batch: readonly Row[], isNamed: boolean): Promise<Answers> {
  const { inputIds, attentionMask } = await parts.tokenizer.encodeBatch(
    batch.map(({ text }) => text),
    parts.maxTokens,
  );
  const tasks = BigInt64Array.from(batch, ({ parent }) => (isNamed ? BigInt(parent) : -1n));
  const outputs = await parts.composed.run({
    [TWIN_VALUES.inputIds]: inputIds,
    [TWIN_VALUES.attentionMask]: attentionMask,
    [TWIN_VALUES.task]: tensor('int64', [batch.length], tasks),
  });
  const read = (name: string) => asFloat32(outputs[name], name).data;
  const chosen = outputs[TWIN_VALUES.parent];
  if (chosen?.dtype !== 'int64') throw refused('its output "parent" is missing');
  return {
    weights: read(TWIN_VALUES.routerWeights),
    scores: read(TWIN_VALUES.scores),
    chosen: chosen.data,
    own: parts.graph.parents.map((name) => read(parentProbabilities(name))),
  };
}

class Tally {
  private maxAbs = 0;
  private readonly counts: { n: number; rightAlone: number; rightRouted: number; routedHere: number }[];
  /** Where each label of each parent stands in the union. */
  private readonly positions: readonly (readonly number[])[];

  constructor(
    private readonly graph: MergedGraph,
    private readonly parents: readonly ParentAlone[],
    /** Probabilities of each parent alone, [rows, labels]. */
    private readonly alone: readonly Float64Array[],
  ) {
    this.counts = parents.map(() => ({ n: 0, rightAlone: 0, rightRouted: 0, routedHere: 0 }));
    const union = new Map(graph.labels.map((label, index) => [label, index]));
    this.positions = parents.map(({ labels }) => labels.map((label) => union.get(label) ?? -1));
  }

  add(batch: readonly Row[], from: number, answers: Answers, isNamed: boolean): void {
    batch.forEach((row, at) => {
      const width = this.parents.length;
      const best = argMax(answers.weights.subarray(at * width, (at + 1) * width));
      const expected = isNamed ? row.parent : best;
      const chosen = Number(answers.chosen[at]);
      if (chosen !== expected)
        throw refused(
          `${this.parents[chosen]?.name ?? chosen} answered where ${this.parents[expected]?.name ?? expected} was chosen`,
        );
      const alone = this.parents.map(({ labels }, parent) =>
        (this.alone[parent] as Float64Array).subarray(
          (from + at) * labels.length,
          (from + at + 1) * labels.length,
        ),
      );
      alone.forEach((truth, parent) => {
        const own = (answers.own[parent] as Float32Array).subarray(
          at * truth.length,
          (at + 1) * truth.length,
        );
        this.compare(truth, own, this.parents[parent]?.name ?? '');
      });
      const merged = answers.scores.subarray(
        at * this.graph.labels.length,
        (at + 1) * this.graph.labels.length,
      );
      this.compare(
        this.spread(alone[chosen] as Float64Array, chosen),
        merged,
        this.parents[chosen]?.name ?? '',
      );
      this.count(row, alone, best);
    });
  }

  report(n: number): ParityReport {
    const parents = this.parents.map(({ name }, index) => ({
      name,
      ...(this.counts[index] as (typeof this.counts)[number]),
    }));
    return { maxAbs: this.maxAbs, n, parents };
  }

  private compare(truth: Float64Array, got: Float32Array, parent: string): void {
    truth.forEach((value, index) => {
      const difference = Math.abs(value - (got[index] ?? NaN));
      // Written so that a result that is not a number fails.
      if (!(difference < PARITY_TOLERANCE))
        throw refused(
          `a probability is off by ${difference.toPrecision(3)} from ${parent} alone, and ${PARITY_TOLERANCE} is allowed`,
        );
      this.maxAbs = Math.max(this.maxAbs, difference);
    });
  }

  /** Probabilities of a parent at their places in the union. */
  private spread(probabilities: Float64Array, parent: number): Float64Array {
    const result = new Float64Array(this.graph.labels.length);
    this.positions[parent]?.forEach((position, index) => (result[position] = probabilities[index] ?? 0));
    return result;
  }

  private count(row: Row, alone: readonly Float64Array[], routed: number): void {
    if (row.label === '') return;
    const counts = this.counts[row.parent] as (typeof this.counts)[number];
    const answer = (parent: number) => this.parents[parent]?.labels[argMax(alone[parent] as Float64Array)];
    counts.n += 1;
    if (answer(row.parent) === row.label) counts.rightAlone += 1;
    if (answer(routed) === row.label) counts.rightRouted += 1;
    if (routed === row.parent) counts.routedHere += 1;
  }
}

function refused(reason: string): ThalamusError {
  return new ThalamusError(
    'COMPOSITION_REFUSED',
    `The composed graph does not do what its parents do: ${reason}. Nothing was registered.`,
  );
}
