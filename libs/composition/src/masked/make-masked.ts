import { Tokenizer, type InferenceRuntime } from '@thalamus/inference';
import { buildMaskedTwinGraph } from '@thalamus/model-merge';
import { buildBertEncoder, encodeModel, inspectGraph, type Mixture } from '@thalamus/onnx-graph';
import { openTrainingBase, requireMask, type TrainingBase } from '@thalamus/training';
import { branchFlops } from '../branch-flops.js';
import type { CompositionTask } from '../composition-task.js';
import { fitRows, type FittedRouter } from '../fit-router.js';
import { exclusiveOf, planOf, requireChange, type MergePlan, mixingRule } from '../merge-plan.js';
import { requireParametersFor } from '../plan/task-parameters.js';
import type { OnProgress } from '../progress.js';
import { storageOf } from '../recipe-settings.js';
import { rankLadder } from '../report-composition.js';
import { mergeWeights } from '../shared-expert.js';
import type { MadeGraph } from '../switch/make-switch.js';
import { checkMasked } from './check-masked.js';
import { cutDomains, readLines, routerRows, type DomainLines, type DomainWindows } from './domain-windows.js';
import { openMaskedParent, withoutRounding, type OpenedMaskedParent } from './open-masked-parent.js';

/**
 * Makes one masked language model of several over one base. Weights are merged, decomposed and mixed as those of classifiers are; the
 * parameters of the heads are mixed by the weights of each text, and all share the decoder, which is the word embeddings. The graph is
 * compared with materialised weights, and every parent's domain is measured in nats a hidden word piece.
 * @throws COMPOSITION_REFUSED, GRAPH_INVALID, BUNDLE_INVALID, DATASET_INVALID, REQUEST_INVALID, CONFIG_INVALID for a base without a mask
 */
export async function makeMasked(
  task: CompositionTask,
  runtime: InferenceRuntime,
  onProgress: OnProgress,
): Promise<MadeGraph> {
  const readTokenizer = (json: Uint8Array) => Tokenizer.parse(json);
  const base = await openTrainingBase(task.base.folder, { runtime, threads: task.threads, readTokenizer });
  requireParametersFor(task, ['fill-mask']);
  const vocabulary = requireMask(base);
  const sorted = task.parents.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const opened = await openAll(sorted, base, onProgress);
  const plan = planOf(task, base.read.config.layers, opened);
  const merged = mergeWeights(plan.shared, base.read.weights, opened, {
    onTensor: (done, total) => onProgress({ stage: 'merge', done, total }),
  });
  const shared = withoutRounding(merged, base.read.weights, opened);
  const tools = { seed: task.seed, runtime, threads: task.threads, onProgress };
  const exclusive = plan.twin && (await exclusiveOf(plan.twin, shared, opened, tools));
  const mixture = exclusive && withoutUnchanged(exclusive.mixture);
  const domains = await domainsOf(sorted, base, plan, task.seed);
  const fitted = fitRows(
    {
      train: routerRows(domains, 'train', vocabulary, task.seed),
      validation: routerRows(domains, 'validation', vocabulary, task.seed),
      parents: opened.length,
    },
    plan.router,
    { shared, seed: task.seed, onProgress: (done, total) => onProgress({ stage: 'router', done, total }) },
  );
  const built = build(task, base, { opened, plan, shared, mixture, fitted }, onProgress);
  const checked = await checkMasked(
    { base, vocabulary, bytes: built.bytes, mixture, rule: built.rule, shared, isExact: built.isExact },
    domains.map(({ test, validation }, at) => ({
      parent: opened[at]!,
      windows: test.length > 0 ? test : validation,
      isTest: test.length > 0,
    })),
    onProgress,
  );
  return {
    ...built,
    task: 'fill-mask',
    parents: sorted.map((parent, at) => ({ ...parent, bundle: opened[at]!.bundle })),
    ladder: exclusive ? rankLadder(exclusive.vectors, exclusive.mixture) : { ranks: [], chosen: null },
    abstainBelow: fitted.abstainBelow,
    description: describe(task),
    quality: {
      ...checked,
      routerValidation: { accuracy: fitted.validation.accuracy, n: fitted.validation.n },
      routerRows: new Map(domains.map(({ name, train }) => [name, train.length])),
    },
  };
}

/** What a graph is built of. */
interface GraphParts {
  readonly opened: readonly OpenedMaskedParent[];
  readonly plan: MergePlan;
  readonly shared: TrainingBase['read']['weights'];
  readonly mixture: Mixture | undefined;
  readonly fitted: Omit<FittedRouter, 'rows'>;
}

function build(
  { document }: CompositionTask,
  base: TrainingBase,
  { opened, plan, shared, mixture, fitted }: GraphParts,
  onProgress: OnProgress,
) {
  onProgress({ stage: 'graph', done: 0, total: 1 });
  const storage = storageOf(document);
  const rule = mixingRule(plan, fitted, opened.length);
  const graph = buildMaskedTwinGraph({
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
  return {
    graph,
    bytes,
    parameterCount,
    rule,
    isExact: storage.kind === 'float32',
    precision: storage.kind,
    // Heads score masked places only, as those of the parents.
    flopsPerToken: base.manifest.flopsPerToken + branchFlops(mixture, rule.top),
  };
}

async function openAll(
  parents: CompositionTask['parents'],
  base: TrainingBase,
  onProgress: OnProgress,
): Promise<OpenedMaskedParent[]> {
  const opened: OpenedMaskedParent[] = [];
  for (const { name, folder } of parents) {
    opened.push({ ...(await openMaskedParent(folder, base)), name });
    // Whoever waits hears that there is life; how many tensors there are is not known yet.
    onProgress({ stage: 'merge', done: 0, total: 0 });
  }
  opened.forEach((parent) => requireChange(parent, base));
  return opened;
}

async function domainsOf(
  parents: CompositionTask['parents'],
  base: TrainingBase,
  { router }: MergePlan,
  seed: number,
): Promise<DomainWindows[]> {
  const lines = await Promise.all(
    parents.map(async ({ name, train, test }): Promise<DomainLines> => ({
      name,
      train: await readLines(train),
      test: await readLines(test),
    })),
  );
  return cutDomains(lines, base, { most: router.rowsPerParent, seed });
}

/** A mixture without what no parent changes: branches leave biases and norms alone. */
function withoutUnchanged({ parents, matrices, vectors }: Mixture): Mixture {
  const isChanged = [...vectors.values()].some(({ changes }) => changes.some((value) => value !== 0));
  return {
    parents,
    matrices: new Map([...matrices].filter(([, changes]) => changes.some(({ rank }) => rank > 0))),
    vectors: isChanged ? vectors : new Map(),
  };
}

function describe({ document: { method }, parents }: CompositionTask): string {
  const names = parents.map(({ name }) => name).sort();
  return method === 'twin'
    ? `Twin-Merging of the masked language models ${names.join(', ')}: one graph whose weights and head are mixed for each text.`
    : `${method} of the masked language models ${names.join(', ')}: one set of weights, whose head is mixed for each text.`;
}
