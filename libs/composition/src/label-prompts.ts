import { ThalamusError } from '@thalamus/errors';
import { labelByConfidence } from '@thalamus/model-merge';
import { normalised, openClassifier, type TrainingBase } from '@thalamus/training';
import type { OpenedParent } from './open-parent.js';

/** Texts that parents are sure of. */
export interface LabelledPrompts {
  /** Texts of each parent. */
  readonly texts: readonly (readonly string[])[];
  /** Different texts that were given, and those of them that have a parent. */
  readonly given: number;
  readonly kept: number;
}

/** Share of the texts that are kept: those that one parent is most surer of than the others. */
const KEPT = 0.7;
/** Fewest texts of a parent. */
const LEAST = 20;

/**
 * Labels texts with the parent that is surest of them, and leaves out those that several are about as sure of. Every parent reads
 * every text. `onRows` is told how many answers there are.
 * @throws DATASET_INVALID when no parent, or one of them too rarely, is the surest
 */
export async function labelPrompts(
  prompts: readonly string[],
  parents: readonly OpenedParent[],
  base: TrainingBase,
  onRows: (done: number, total: number) => void,
): Promise<LabelledPrompts> {
  const texts = [...new Map(prompts.map((text) => [normalised(text), text])).values()].sort();
  const tools = { runtime: base.runtime, threads: base.threads, base, readTokenizer: () => base.tokens };
  const total = parents.length * texts.length;
  const answers: { labels: number; logProbabilities: Float64Array }[] = [];
  for (const [at, { bundle }] of parents.entries()) {
    const classifier = await openClassifier(bundle, tools);
    try {
      const logProbabilities = await classifier.answer(texts, (done) =>
        onRows(at * texts.length + done, total),
      );
      answers.push({ labels: classifier.labels.length, logProbabilities });
    } finally {
      await classifier.release();
    }
  }
  const { parents: owner, margins } = labelByConfidence(answers);
  const surest = [...texts.keys()].sort((a, b) => margins[b]! - margins[a]! || a - b);
  const kept = new Set(surest.slice(0, Math.ceil(KEPT * texts.length)));
  const own = parents.map((_, parent) => texts.filter((_, at) => owner[at] === parent && kept.has(at)));
  const few = own.findIndex(({ length }) => length < LEAST);
  if (few >= 0)
    throw new ThalamusError(
      'DATASET_INVALID',
      `Of ${texts.length} texts without labels ${parents[few]!.name} is the surest of ${own[few]!.length}, and a router needs ${LEAST} of each parent. Give more texts of its task, or labelled rows.`,
    );
  return { texts: own, given: texts.length, kept: kept.size };
}
