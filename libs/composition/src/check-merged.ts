import type { MergedGraph } from '@thalamus/model-merge';
import type { Mixture, Weights } from '@thalamus/onnx-graph';
import { argMax } from '@thalamus/tensor';
import type { LabelledText, TrainingBase } from '@thalamus/training';
import { answersAlone } from './answers-alone.js';
import { largestParityGap, requireParity, type MixingRule, type ParityRow } from './check-parity.js';
import { ComposedGraph, type ComposedAnswer } from './composed-graph.js';
import type { ClassifiedQuality, CompositionQuality } from './quality.js';
import type { OpenedParent } from './open-parent.js';
import type { OnProgress } from './progress.js';

/** What is checked. */
export interface MergedParts {
  readonly base: TrainingBase;
  readonly graph: MergedGraph;
  readonly bytes: Uint8Array;
  readonly mixture: Mixture | undefined;
  readonly rule: MixingRule;
  readonly shared: Weights;
  /** Whether the graph holds the shared weights as they are: what is rounded differs by more than the parity allows. */
  readonly isExact: boolean;
}

/** A parent with the rows of its task; the label is empty where it is not known. */
export interface JudgedParent {
  readonly parent: OpenedParent;
  readonly rows: readonly LabelledText[];
}

/**
 * Compares the graph with materialised weights on rows that the router gives to several parents and on rows with the task named,
 * then measures every parent's task.
 * @throws COMPOSITION_REFUSED when a probability is off by more than the tolerance
 */
export async function checkMerged(
  parts: MergedParts,
  judged: readonly JudgedParent[],
  onProgress: OnProgress,
): Promise<Pick<CompositionQuality, 'parity' | 'parents'>> {
  const { base, bytes } = parts;
  const rows = judged.flatMap(({ rows: own }, parent) => own.map((row) => ({ ...row, parent })));
  const encoded = await base.tokens.encode(
    rows.map(({ text }) => text),
    base.manifest.maxTokens,
  );
  const ids = encoded.map((row) => row.ids);
  const composed = await ComposedGraph.open(base.runtime, bytes, base.threads);
  try {
    const total = 2 * rows.length;
    const answers = await composed.answer(ids, undefined, (done) =>
      onProgress({ stage: 'quality', done, total }),
    );
    const parity = await checkedParity(parts, judged, { ids, answers, composed, of: rows }, onProgress);
    const alone = await labelsAlone(base, judged, (done) =>
      onProgress({ stage: 'quality', done: rows.length + done, total }),
    );
    const parents = judged.map(({ parent: { name } }, parent): ClassifiedQuality => {
      const own = rows
        .map((row, at) => ({ ...row, at }))
        .filter((row) => row.parent === parent && row.label !== '');
      const count = (isCounted: (row: (typeof own)[number]) => boolean) => own.filter(isCounted).length;
      return {
        name,
        n: own.length,
        rightAlone: count(({ at, label }) => alone[at] === label),
        rightRouted: count(({ at, label }) => parts.graph.labels[answers[at]!.label] === label),
        routedHere: count(({ at }) => argMax(answers[at]!.weights) === parent),
      };
    });
    return { parity, parents };
  } finally {
    await composed.release();
  }
}

interface Answered {
  readonly ids: readonly (readonly number[])[];
  readonly answers: readonly ComposedAnswer[];
  readonly of: readonly { readonly parent: number }[];
  readonly composed: ComposedGraph;
}

/** Most rows that weights are built for: each takes a session of its own. */
const MOST_ROUTED = 3;

async function checkedParity(
  parts: MergedParts,
  judged: readonly JudgedParent[],
  { ids, answers, of, composed }: Answered,
  onProgress: OnProgress,
): Promise<CompositionQuality['parity']> {
  const { base, graph, rule, shared } = parts;
  // The most mixed rows, where a wrong weight shows, and one whose task is named.
  const spread = (at: number) => 1 - Math.max(...answers[at]!.weights);
  const mixed = [...answers.keys()].sort((a, b) => spread(b) - spread(a) || a - b).slice(0, MOST_ROUTED);
  const named = mixed[0] ?? 0;
  const task = of[named]?.parent ?? 0;
  const [namedAnswer] = await composed.answer([ids[named] ?? []], [task]);
  const rows: ParityRow[] = [
    ...mixed.map((at) => ({ ids: ids[at]!, task: undefined, answer: answers[at]! })),
    { ids: ids[named] ?? [], task, answer: namedAnswer! },
  ];
  onProgress({ stage: 'parity', done: 0, total: rows.length });
  const maxAbs = await largestParityGap(rows, {
    runtime: base.runtime,
    threads: base.threads,
    config: base.read.config,
    shared,
    mixture: parts.mixture ?? { parents: judged.length, matrices: new Map(), vectors: new Map() },
    rule,
    parents: judged.map(({ parent }) => parent),
    labels: graph.labels,
  });
  if (parts.isExact) requireParity(maxAbs);
  onProgress({ stage: 'parity', done: rows.length, total: rows.length });
  return { maxAbs, n: rows.length };
}

/** Labels that the parents give to their own rows, in the order of all rows. */
async function labelsAlone(
  base: TrainingBase,
  judged: readonly JudgedParent[],
  onRows: (done: number) => void,
): Promise<string[]> {
  const result: string[] = [];
  const tools = { runtime: base.runtime, threads: base.threads, base, readTokenizer: () => base.tokens };
  for (const { parent, rows } of judged) {
    const before = result.length;
    const texts = rows.map(({ text }) => text);
    const labels = await answersAlone(parent.bundle, texts, tools, (done) => onRows(before + done));
    result.push(...labels);
  }
  return result;
}
