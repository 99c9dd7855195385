import { Tokenizer, type InferenceRuntime } from '@thalamus/inference';
import { buildTwinGraph } from '@thalamus/model-merge';
import { buildBertEncoder, encodeModel, inspectGraph } from '@thalamus/onnx-graph';
import { openTrainingBase, type LabelledText, type TrainingBase } from '@thalamus/training';
import { checkMerged } from './check-merged.js';
import type { CompositionTask } from './composition-task.js';
import { fitRouter, type TaskTexts } from './fit-router.js';
import { measureParents } from './information/measure-parents.js';
import { labelPrompts, type LabelledPrompts } from './label-prompts.js';
import { exclusiveOf, planOf, requireChange, mixingRule } from './merge-plan.js';
import { openParent, type OpenedParent } from './open-parent.js';
import type { OnProgress } from './progress.js';
import { storageOf } from './recipe-settings.js';
import { rankLadder } from './report-composition.js';
import { mergeWeights } from './shared-expert.js';
import { branchFlops } from './branch-flops.js';
import type { MadeGraph } from './switch/make-switch.js';
import { readTaskRows, unlabelled, type TaskRows } from './task-rows.js';

const readTokenizer = (json: Uint8Array) => Tokenizer.parse(json);

/**
 * Makes one graph of merged weights: the same for all texts (a static merge), or mixed for every text (Twin-Merging). Parents are
 * opened with all their weights, the shared expert is merged, exclusive vectors are decomposed, the router is fitted, and the graph
 * is compared with materialised weights.
 * @throws COMPOSITION_REFUSED, GRAPH_INVALID, BUNDLE_INVALID, DATASET_INVALID, REQUEST_INVALID
 */
export async function makeMerged(
  task: CompositionTask,
  runtime: InferenceRuntime,
  onProgress: OnProgress,
): Promise<MadeGraph> {
  const { threads } = task;
  const base = await openTrainingBase(task.base.folder, { runtime, threads, readTokenizer });
  const opened = await openParents(task, base, onProgress);
  const plan = planOf(task, base.read.config.layers, opened);
  const { rows, prompts } = await knownRows(task, opened, base, onProgress);
  const { information: wanted } = plan.shared;
  const measured =
    wanted && (await measureParents(opened, rows, wanted, { base, seed: task.seed, onProgress }));
  const shared = mergeWeights(plan.shared, base.read.weights, opened, {
    information: measured && ((parent) => measured.get(parent)!),
    onTensor: (done, total) => onProgress({ stage: 'merge', done, total }),
  });
  const exclusive =
    plan.twin &&
    (await exclusiveOf(plan.twin, shared, opened, { seed: task.seed, runtime, threads, onProgress }));
  const mixture = exclusive?.mixture;
  const fitted = await fitRouter(textsOf(opened, rows), plan.router, {
    shared,
    config: base.read.config,
    tokens: base.tokens,
    maxTokens: base.manifest.maxTokens,
    runtime,
    threads,
    seed: task.seed,
    onProgress: (done, total) => onProgress({ stage: 'router', done, total }),
  });
  onProgress({ stage: 'graph', done: 0, total: 1 });
  const storage = storageOf(task.document);
  const rule = mixingRule(plan, fitted, opened.length);
  const graph = buildTwinGraph({
    encoder: buildBertEncoder(base.read.config, shared, storage),
    mixture,
    ...rule,
    router: fitted.router,
    abstainBelow: fitted.abstainBelow,
    parents: opened,
  });
  const bytes = encodeModel(graph.model);
  const { parameterCount } = inspectGraph(bytes);
  onProgress({ stage: 'graph', done: 1, total: 1 });
  const checked = await checkMerged(
    { base, graph, bytes, mixture, rule, shared, isExact: storage.kind === 'float32' },
    opened.map((parent, at) => ({
      parent,
      rows: rows[at]!.test.length > 0 ? rows[at]!.test : unlabelled(rows[at]!.train),
    })),
    onProgress,
  );
  return {
    graph,
    bytes,
    parameterCount,
    parents: task.parents.map((parent, at) => ({ ...parent, bundle: opened[at]!.bundle })),
    precision: storage.kind,
    flopsPerToken:
      base.manifest.flopsPerToken * (plan.router.passes === 2 ? 2 : 1) + branchFlops(mixture, rule.top),
    ladder: exclusive ? rankLadder(exclusive.vectors, exclusive.mixture) : { ranks: [], chosen: null },
    abstainBelow: fitted.abstainBelow,
    task: 'text-classification',
    description: describe(task, graph.parents),
    quality: {
      ...checked,
      routerValidation: { accuracy: fitted.validation.accuracy, n: fitted.validation.n },
      prompts,
      routerRows: new Map(opened.map(({ name }, at) => [name, fitted.rows[at] ?? 0])),
    },
  };
}

async function openParents(
  { parents }: CompositionTask,
  base: TrainingBase,
  onProgress: OnProgress,
): Promise<readonly OpenedParent[]> {
  const opened: OpenedParent[] = [];
  for (const { name, folder } of parents) {
    opened.push({ ...(await openParent(folder, base)), name });
    // Whoever waits hears that there is life; how many tensors there are is not known yet.
    onProgress({ stage: 'merge', done: 0, total: 0 });
  }
  opened.forEach((parent) => requireChange(parent, base));
  return opened;
}

/** Rows of the parents' tasks; texts without labels that a parent is surest of stand for what it may be fitted to. */
async function knownRows(
  task: CompositionTask,
  opened: readonly OpenedParent[],
  base: TrainingBase,
  onProgress: OnProgress,
): Promise<{ readonly rows: readonly TaskRows[]; readonly prompts: LabelledPrompts | undefined }> {
  const rows = await readTaskRows(task.parents);
  if (task.prompts.length === 0) return { rows, prompts: undefined };
  const prompts = await labelPrompts(task.prompts, opened, base, (done, total) =>
    onProgress({ stage: 'prompts', done, total }),
  );
  const train = (at: number) => (prompts.texts[at] ?? []).map((text) => ({ text, label: '' }));
  return { rows: rows.map(({ test }, at) => ({ train: train(at), test })), prompts };
}

/** Texts by parent; what chooses is held out of what is trained on. */
function textsOf(parents: readonly OpenedParent[], rows: readonly TaskRows[]): Map<string, TaskTexts> {
  const texts = (of: readonly LabelledText[]) => of.map(({ text }) => text);
  return new Map(
    parents.map(({ name }, at) => [
      name,
      { train: texts(rows[at]!.train), validation: [], test: texts(rows[at]!.test) },
    ]),
  );
}

function describe({ document: { method } }: CompositionTask, parents: readonly string[]): string {
  const names = parents.join(', ');
  return method === 'twin'
    ? `Twin-Merging of ${names}: one graph whose weights are mixed for each text.`
    : `${method} of ${names}: one set of weights for all of them, whose head a router chooses.`;
}
