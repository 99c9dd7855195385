import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { argMax } from '@thalamus/tensor';
import type { ClassifierTools, LabelledText } from '@thalamus/training';
import { answersAlone } from './answers-alone.js';
import { ComposedGraph } from './composed-graph.js';
import type { QualityUnit } from './quality.js';

/** A task that a composition is judged on. */
export interface JudgedTask {
  /** What the task is called in the result. */
  readonly task: string;
  /** Name of the parent whose task it is. */
  readonly name: string;
  /** Rows that nothing was fitted to; at least one. */
  readonly rows: readonly LabelledText[];
  /** The parent, or its accuracy on these very rows where it is not here. */
  readonly alone: OpenedBundle<ExpertManifest> | number;
}

/** How a composition fares on the task of a parent. */
export interface EvaluatedTask {
  readonly task: string;
  /** Rows, or hidden word pieces of a masked language model. */
  readonly n: number;
  /** What the two figures below are in: accuracy, 0 to 1, or nats a hidden word piece. */
  readonly unit: QualityUnit;
  /** Of the parent alone. */
  readonly parent: number;
  /** Of the composition, whose router chooses. */
  readonly composed: number;
  /** Accuracy divided by that of the parent, or exp(parent - composed) of nats; null for a parent that is never right. */
  readonly normalized: number | null;
  /** Share of the rows whose largest weight is that of their own parent. */
  readonly routed: number;
}

/** How a composition fares. */
export interface CompositionEvaluation {
  /** Mean of the tasks' normalised scores; null when there is none. */
  readonly normalized: number | null;
  readonly tasks: readonly EvaluatedTask[];
  /** Mean over the tasks of the share of rows that the router gives to their own parent. */
  readonly routerAccuracy: number;
}

/**
 * Measures a composition under the honest protocol: it is given texts and nothing else, so that its own router chooses. Each parent
 * answers the same rows alone. `onRows` is told how many answers of how many there are.
 * @throws BUNDLE_INVALID, GRAPH_INVALID, METHOD_UNSUPPORTED
 */
export async function evaluateComposition(
  composition: OpenedBundle<ExpertManifest>,
  judged: readonly JudgedTask[],
  tools: ClassifierTools,
  onRows: (done: number, total: number) => void,
): Promise<CompositionEvaluation> {
  const parents = parentsOf(composition.manifest);
  const total = judged.reduce((sum, { rows, alone }) => sum + rows.length * (isHere(alone) ? 2 : 1), 0);
  let before = 0;
  const step = (done: number) => onRows(before + done, total);
  const tokens = tools.readTokenizer(await composition.readFile('tokenizer.json'));
  const { labels = [], maxTokens } = composition.manifest;
  const graph = await ComposedGraph.open(
    tools.runtime,
    await composition.readFile('model.onnx'),
    tools.threads,
  );
  const tasks: EvaluatedTask[] = [];
  try {
    for (const { task, name, rows, alone } of judged) {
      const texts = rows.map(({ text }) => text);
      const encoded = await tokens.encode(texts, maxTokens);
      const answers = await graph.answer(
        encoded.map(({ ids }) => ids),
        undefined,
        step,
      );
      before += rows.length;
      const shareOf = (isCounted: (row: LabelledText, at: number) => boolean) =>
        rows.filter(isCounted).length / rows.length;
      let parent: number;
      if (isHere(alone)) {
        const own = await answersAlone(alone, texts, tools, step);
        before += rows.length;
        parent = shareOf(({ label }, at) => own[at] === label);
      } else parent = alone;
      const composed = shareOf(({ label }, at) => labels[answers[at]!.label] === label);
      const index = parents.indexOf(name);
      tasks.push({
        task,
        n: rows.length,
        unit: 'accuracy',
        parent,
        composed,
        normalized: parent > 0 ? composed / parent : null,
        routed: shareOf((_, at) => argMax(answers[at]!.weights) === index),
      });
    }
  } finally {
    await graph.release();
  }
  return evaluationOf(tasks);
}

/** The figures of all tasks together. */
export function evaluationOf(tasks: readonly EvaluatedTask[]): CompositionEvaluation {
  const scores = tasks.flatMap(({ normalized }) => normalized ?? []);
  return {
    normalized: scores.length > 0 ? mean(scores) : null,
    tasks,
    routerAccuracy: mean(tasks.map(({ routed }) => routed)),
  };
}

/** Names of the parents in the order of the graph. @throws METHOD_UNSUPPORTED for what is no composition */
export function parentsOf({ name, kind, lineage }: ExpertManifest): string[] {
  if (kind === 'twin' && lineage) return lineage.parents.map((parent) => parent.name).sort();
  throw new ThalamusError(
    'METHOD_UNSUPPORTED',
    `${name} is ${kind} and no composition; "thalamus experts evaluate" measures it.`,
  );
}

function isHere(alone: JudgedTask['alone']): alone is OpenedBundle<ExpertManifest> {
  return typeof alone !== 'number';
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
