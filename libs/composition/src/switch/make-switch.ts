import {
  openBundle,
  readClassifierHead,
  readLowRankAdapter,
  type ExpertManifest,
  type LowRankAdapter,
  type OpenedBundle,
} from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { TextEncoder, Tokenizer, type InferenceRuntime } from '@thalamus/inference';
import { buildSwitchGraph, type MergedGraph } from '@thalamus/model-merge';
import { decodeModel, encodeModel, inspectGraph } from '@thalamus/onnx-graph';
import type { LabelledText, LinearHead } from '@thalamus/training';
import type { CompositionTask, TaskParent } from '../composition-task.js';
import type { MadeParts } from '../describe-composition.js';
import type { OnProgress } from '../progress.js';
import { switchSettings } from '../recipe-settings.js';
import { readRows, unlabelled } from '../task-rows.js';
import { checkSwitchParity } from './check-switch-parity.js';
import { fitSwitchRouter, type FittedSwitchRouter } from './fit-switch-router.js';
import { LowRankEncoders } from './low-rank-encoder.js';

interface LoadedParent extends TaskParent {
  readonly bundle: OpenedBundle<ExpertManifest>;
  readonly head: LinearHead;
  /** Undefined for a probe. */
  readonly adapter: LowRankAdapter | undefined;
  readonly trainRows: readonly LabelledText[];
  readonly testRows: readonly LabelledText[];
}

/** What making a composition gives. */
export interface MadeGraph extends MadeParts {
  readonly bytes: Uint8Array;
  readonly parents: readonly (TaskParent & { readonly bundle: OpenedBundle<ExpertManifest> })[];
}

/**
 * Makes one graph in which a router lets one parent answer each text: fits the router, builds the graph, and checks it against its
 * parents.
 * @throws COMPOSITION_REFUSED, GRAPH_INVALID, BUNDLE_INVALID, DATASET_INVALID
 */
export async function makeSwitch(
  task: CompositionTask,
  base: OpenedBundle<ExpertManifest>,
  runtime: InferenceRuntime,
  onProgress: OnProgress,
): Promise<MadeGraph> {
  const settings = switchSettings(task.document);
  const graphBytes = await base.readFile('model.onnx');
  const width = widthOf(graphBytes, base.manifest.name);
  const parents = await Promise.all(task.parents.map((parent) => load(parent, width)));
  const tokenizer = Tokenizer.parse(await base.readFile('tokenizer.json'));
  const session = await runtime.load({ bytes: graphBytes }, { threads: task.threads });
  const encoder = new TextEncoder(tokenizer, session, base.manifest.maxTokens);

  const router = await fitSwitchRouter(encoder, parents.map(textsOf), {
    l2: settings.router_l2,
    rowsPerParent: settings.rows_per_parent,
    seed: task.seed,
    onEmbedded: (done, total) => onProgress({ stage: 'router', done, total }),
  });

  onProgress({ stage: 'graph', done: 0, total: 1 });
  const graph = merge(graphBytes, parents, router);
  const bytes = encodeModel(graph.model);
  const { parameterCount } = inspectGraph(bytes);
  onProgress({ stage: 'graph', done: 1, total: 1 });

  const composed = await runtime.load({ bytes }, { threads: task.threads });
  const { maxTokens } = base.manifest;
  const adapters = parents.flatMap(({ adapter }) => adapter ?? []);
  const lowRankBase = { graph: graphBytes, tokenizer, maxTokens, threads: task.threads };
  const branched =
    adapters.length > 0 ? await LowRankEncoders.open(runtime, lowRankBase, adapters) : undefined;
  const report = await checkSwitchParity(
    { graph, composed, tokenizer, maxTokens },
    parents.map((parent) => ({
      name: parent.name,
      labels: parent.bundle.manifest.labels ?? [],
      head: parent.head,
      encoder: (parent.adapter && branched?.of(parent.adapter)) ?? encoder,
      answersAlways: !parent.adapter,
      rows: parent.testRows.length > 0 ? parent.testRows : unlabelled(parent.trainRows),
    })),
    (done, total) => onProgress({ stage: 'parity', done, total }),
  );
  return {
    graph,
    bytes,
    parents,
    parameterCount,
    precision: base.manifest.precision,
    flopsPerToken: base.manifest.flopsPerToken,
    ladder: { ranks: [], chosen: null },
    abstainBelow: null,
    task: 'text-classification',
    description: `One graph of ${graph.parents.join(', ')} that chooses among them for each text.`,
    quality: {
      parents: report.parents,
      routerValidation: { accuracy: router.validationAccuracy, n: router.validationRows },
      routerRows: router.rows,
      parity: { maxAbs: report.maxAbs, n: report.n },
    },
  };
}

function widthOf(graph: Uint8Array, name: string): number {
  const width = inspectGraph(graph)
    .outputs.find((output) => output.name === 'embedding')
    ?.shape.at(-1);
  if (typeof width === 'number') return width;
  throw new ThalamusError('GRAPH_INVALID', `The base ${name} has no output "embedding" of a fixed width.`);
}

async function load(parent: TaskParent, width: number): Promise<LoadedParent> {
  const bundle = await openBundle(parent.folder);
  const head = await readClassifierHead(bundle, width);
  const adapter = bundle.manifest.kind === 'lowrank' ? await readLowRankAdapter(bundle) : undefined;
  return {
    ...parent,
    bundle,
    head,
    adapter,
    trainRows: await readRows(parent.train),
    testRows: await readRows(parent.test),
  };
}

function textsOf({ name, trainRows, testRows }: LoadedParent) {
  return { name, train: trainRows.map(({ text }) => text), test: testRows.map(({ text }) => text) };
}

function merge(base: Uint8Array, parents: readonly LoadedParent[], router: FittedSwitchRouter): MergedGraph {
  const names = parents.map(({ name }) => name).sort();
  return buildSwitchGraph({
    base: decodeModel(base),
    parents: parents.map(({ name, bundle, head, adapter }) => {
      const row = names.indexOf(name);
      return {
        name,
        labels: bundle.manifest.labels ?? [],
        head,
        branches: adapter,
        router: {
          weights: router.head.weights.subarray(row * router.width, (row + 1) * router.width),
          bias: router.head.bias.subarray(row, row + 1),
        },
      };
    }),
  });
}
