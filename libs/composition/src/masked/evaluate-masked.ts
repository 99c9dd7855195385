import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import {
  JUDGING_WINDOW_TOKENS,
  measureMaskedLm,
  openMaskedLm,
  requireMask,
  requireTokenizer,
  textWindows,
  type TextLine,
  type TrainingBase,
  type Windows,
} from '@thalamus/training';
import {
  evaluationOf,
  parentsOf,
  type CompositionEvaluation,
  type EvaluatedTask,
} from '../evaluate-composition.js';
import { normalizedLoss } from '../quality.js';
import { ComposedMaskedLm } from './composed-masked-lm.js';

/** A domain that a composed masked language model is judged on. */
export interface JudgedDomainTask {
  /** What the domain is called in the result. */
  readonly task: string;
  /** Name of the parent whose domain it is. */
  readonly name: string;
  /** Texts that nothing was fitted to; at least one. */
  readonly lines: readonly TextLine[];
  /** The parent, or its loss on these very texts, nats a hidden word piece, where it is not here. */
  readonly alone: OpenedBundle<ExpertManifest> | number;
}

/**
 * Measures a composed masked language model on windows of texts, a quarter of whose words is hidden by each of four masks: it is given
 * these and nothing else, so that its own router chooses. Each parent fills the same masks alone. `onRows` is told how many windows of
 * how many there are.
 * @throws BUNDLE_INVALID, GRAPH_INVALID, METHOD_UNSUPPORTED for what is no composition or reads texts by another tokenizer than the base
 */
export async function evaluateMaskedComposition(
  composition: OpenedBundle<ExpertManifest>,
  judged: readonly JudgedDomainTask[],
  base: TrainingBase,
  onRows: (done: number, total: number) => void,
): Promise<CompositionEvaluation> {
  const parents = parentsOf(composition.manifest);
  await requireTokenizer(composition, base);
  const vocabulary = requireMask(base);
  const domains: (JudgedDomainTask & { readonly windows: Windows })[] = [];
  for (const domain of judged)
    domains.push({ ...domain, windows: await textWindows(base, domain.lines, JUDGING_WINDOW_TOKENS) });
  const passes = ({ alone }: JudgedDomainTask) => (typeof alone === 'number' ? 1 : 2);
  const total = domains.reduce((sum, domain) => sum + domain.windows.length * passes(domain), 0);
  let before = 0;
  const step = (done: number) => onRows(before + done, total);
  const bytes = await composition.readFile('model.onnx');
  const graph = await ComposedMaskedLm.open(base.runtime, bytes, base.threads);
  const tasks: EvaluatedTask[] = [];
  try {
    for (const { task, name, windows, alone } of domains) {
      const score = await graph.judge(windows, vocabulary, step);
      before += windows.length;
      let parent: number;
      if (typeof alone === 'number') parent = alone;
      else {
        const model = await openMaskedLm(alone, base, vocabulary);
        try {
          parent = (await measureMaskedLm(model, windows, step)).loss;
        } finally {
          await model.release();
        }
        before += windows.length;
      }
      const composed = score.nats / Math.max(1, score.pieces);
      tasks.push({
        task,
        n: score.pieces,
        unit: 'nats',
        parent,
        composed,
        normalized: normalizedLoss(parent, composed),
        routed: score.routed[parents.indexOf(name)] ?? 0,
      });
    }
  } finally {
    await graph.release();
  }
  return evaluationOf(tasks);
}
