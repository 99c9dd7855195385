import type { Mixture, Weights } from '@thalamus/onnx-graph';
import {
  JUDGING_MASKS,
  maskTokens,
  mixSeed,
  openMaskedLm,
  type MaskVocabulary,
  type TrainingBase,
  type Windows,
} from '@thalamus/training';
import { requireParity, type MixingRule } from '../check-parity.js';
import { OPEN_TASK } from '../composed-graph.js';
import type { CompositionQuality, MaskedQuality } from '../quality.js';
import type { OnProgress } from '../progress.js';
import { largestMaskedGap, type MaskedParityRow } from './check-masked-parity.js';
import { ComposedMaskedLm } from './composed-masked-lm.js';
import { spread } from './domain-windows.js';
import type { OpenedMaskedParent } from './open-masked-parent.js';

/** What is checked. */
export interface MaskedParts {
  readonly base: TrainingBase;
  readonly vocabulary: MaskVocabulary;
  readonly bytes: Uint8Array;
  readonly mixture: Mixture | undefined;
  readonly rule: MixingRule;
  readonly shared: Weights;
  /** Whether the graph holds the shared weights as they are: what is rounded differs by more than the parity allows. */
  readonly isExact: boolean;
}

/** A parent with the windows of its domain. */
export interface JudgedDomain {
  readonly parent: OpenedMaskedParent;
  /** Windows that parity is checked on. */
  readonly windows: Windows;
  /** Whether they are of a test split: else they judge nothing. */
  readonly isTest: boolean;
}

/** Most windows of a domain that judge a composition while it is made, evenly spaced. */
export const MOST_WINDOWS = 200;
/** Rows among which the most mixed are looked for: one batch. */
const LOOKED_AT = 16;
/** Most rows that weights are built for: each takes a session of its own. */
const MOST_ROUTED = 3;

/**
 * Compares the graph with materialised weights on windows that the router gives to several parents and on one with the parent named,
 * then measures every parent's domain, in nats a hidden word piece.
 * @throws COMPOSITION_REFUSED when a probability is off by more than the tolerance
 */
export async function checkMasked(
  parts: MaskedParts,
  judged: readonly JudgedDomain[],
  onProgress: OnProgress,
): Promise<Pick<CompositionQuality, 'parity' | 'parents'>> {
  const { base, vocabulary, bytes } = parts;
  const composed = await ComposedMaskedLm.open(base.runtime, bytes, base.threads);
  try {
    const parity = await checkedParity(parts, judged, composed, onProgress);
    const tested = judged.map((domain) => (domain.isTest ? spread(domain.windows, MOST_WINDOWS) : []));
    const total = 2 * tested.reduce((sum, { length }) => sum + length, 0);
    let before = 0;
    const onRows = (done: number) => onProgress({ stage: 'quality', done: before + done, total });
    const parents: MaskedQuality[] = [];
    for (const [at, { parent }] of judged.entries()) {
      const windows = tested[at]!;
      const score = await composed.judge(windows, vocabulary, onRows);
      before += windows.length;
      const natsAlone = windows.length === 0 ? 0 : await lossAlone(parent, windows, parts, onRows);
      before += windows.length;
      parents.push({
        name: parent.name,
        n: score.pieces,
        natsAlone,
        nats: score.pieces === 0 ? 0 : score.nats / score.pieces,
        routedShare: score.routed[at] ?? 0,
      });
    }
    return { parity, parents };
  } finally {
    await composed.release();
  }
}

/** Mean loss of a parent that is asked alone, nats a hidden word piece. */
async function lossAlone(
  { bundle }: OpenedMaskedParent,
  windows: Windows,
  { base, vocabulary }: MaskedParts,
  onRows: (done: number) => void,
): Promise<number> {
  const model = await openMaskedLm(bundle, base, vocabulary);
  try {
    const losses = await model.rowLosses(windows, onRows);
    const pieces = losses.reduce((sum, row) => sum + row.pieces, 0);
    return losses.reduce((sum, { nats }) => sum + nats, 0) / Math.max(1, pieces);
  } finally {
    await model.release();
  }
}

async function checkedParity(
  parts: MaskedParts,
  judged: readonly JudgedDomain[],
  composed: ComposedMaskedLm,
  onProgress: OnProgress,
): Promise<CompositionQuality['parity']> {
  const { base, vocabulary, rule, shared } = parts;
  const all = judged.flatMap(({ windows }, parent) => windows.map((ids) => ({ ids, parent })));
  const looked = spread(all, LOOKED_AT).map(({ ids, parent }, at) => ({
    row: maskTokens(ids, vocabulary, {
      share: JUDGING_MASKS.share,
      seed: mixSeed(JUDGING_MASKS.seed, at),
      always: true,
    }),
    parent,
  }));
  const open = looked.map(() => OPEN_TASK);
  const rows = looked.map(({ row }) => row);
  const answers = await composed.answer(rows, open);
  // The most mixed rows, where a wrong weight shows, and one whose parent is named.
  const apart = (at: number) => 1 - Math.max(...answers[at]!.weights);
  const mixed = [...answers.keys()].sort((a, b) => apart(b) - apart(a) || a - b).slice(0, MOST_ROUTED);
  const first = mixed[0] ?? 0;
  const task = looked[first]?.parent ?? 0;
  const named = (await composed.answer(rows, open.with(first, task)))[first]!;
  const checked: MaskedParityRow[] = [
    ...mixed.map((at) => ({ row: rows[at]!, task: undefined, answer: answers[at]! })),
    { row: rows[first]!, task, answer: named },
  ];
  onProgress({ stage: 'parity', done: 0, total: checked.length });
  const maxAbs = await largestMaskedGap(checked, {
    runtime: base.runtime,
    threads: base.threads,
    config: base.read.config,
    shared,
    mixture: parts.mixture ?? { parents: judged.length, matrices: new Map(), vectors: new Map() },
    rule,
    heads: judged.map(({ parent }) => parent.head),
  });
  if (parts.isExact) requireParity(maxAbs);
  onProgress({ stage: 'parity', done: checked.length, total: checked.length });
  return { maxAbs, n: checked.length };
}
