import {
  openBundle,
  readClassifierHead,
  readLowRankAdapter,
  writeBundle,
  type BundleFiles,
  type ExpertManifest,
  type LowRankAdapter,
  type OpenedBundle,
} from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { TextEncoder, Tokenizer, type InferenceRuntime } from '@thalamus/inference';
import { mergeMethod, TWIN_PARAMETERS, type MergedGraph } from '@thalamus/model-merge';
import { decodeModel, encodeModel, inspectGraph } from '@thalamus/onnx-graph';
import { readCsv, type LabelledText, type LinearHead } from '@thalamus/training';
import { readFile } from 'node:fs/promises';
import { figuresOf } from '../domain/figures.js';
import type { OnProgress } from '../domain/progress.js';
import { checkParity } from './check-parity.js';
import type { DataFile, MadeComposition, MakingParent, MakingTask } from './composition-maker.port.js';
import { describeComposition } from './describe-composition.js';
import { fitRouter, type FittedRouter } from './fit-router.js';
import { LowRankEncoders } from './low-rank-encoder.js';

/** Rows of each parent that its parity is checked on when it has no test split. */
const MAX_CHECKED_ROWS = 200;

interface LoadedParent extends MakingParent {
  readonly bundle: OpenedBundle<ExpertManifest>;
  readonly head: LinearHead;
  /** Undefined for a probe. */
  readonly adapter: LowRankAdapter | undefined;
  readonly trainRows: readonly LabelledText[];
  readonly testRows: readonly LabelledText[];
}

/**
 * Makes a composition from fetched files: fits the router, builds the graph, looks at it as a host would, checks it
 * against its parents and writes the bundle. Heavy: it belongs in a process of its own.
 * @throws COMPOSITION_REFUSED, GRAPH_INVALID, BUNDLE_INVALID, DATASET_INVALID
 */
export async function makeComposition(
  task: MakingTask,
  runtime: InferenceRuntime,
  onProgress: OnProgress,
): Promise<MadeComposition> {
  const base = await openBundle(task.base.folder);
  const graphBytes = await base.readFile('model.onnx');
  const width = widthOf(graphBytes, base.manifest.name);
  const parents = await Promise.all(task.parents.map((parent) => load(parent, width)));
  const tokenizer = Tokenizer.parse(await base.readFile('tokenizer.json'));
  const session = await runtime.load({ bytes: graphBytes }, { threads: task.threads });
  const encoder = new TextEncoder(tokenizer, session, base.manifest.maxTokens);

  const router = await fitRouter(encoder, parents.map(textsOf), {
    l2: task.parameters[TWIN_PARAMETERS.routerL2] ?? 0,
    rowsPerParent: task.parameters[TWIN_PARAMETERS.rowsPerParent] ?? Infinity,
    seed: task.seed,
    onEmbedded: (done, total) => onProgress({ stage: 'router', done, total }),
  });

  onProgress({ stage: 'graph', done: 0, total: 1 });
  const graph = merge(task, graphBytes, parents, router);
  const bytes = encodeModel(graph.model);
  const { parameterCount } = inspectGraph(bytes);
  onProgress({ stage: 'graph', done: 1, total: 1 });

  const composed = await runtime.load({ bytes }, { threads: task.threads });
  const { maxTokens } = base.manifest;
  const adapters = parents.flatMap(({ adapter }) => adapter ?? []);
  const lowRankBase = { graph: graphBytes, tokenizer, maxTokens, threads: task.threads };
  const branched =
    adapters.length > 0 ? await LowRankEncoders.open(runtime, lowRankBase, adapters) : undefined;
  const report = await checkParity(
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
  const manifest = describeComposition(task, base.manifest, parents, {
    graph,
    router,
    report,
    parameterCount,
  });
  const written = await writeBundle(task.outputFolder, manifest, {
    'model.onnx': bytes,
    ...(await besideGraph(base)),
  });
  const { manifest: whole } = await openBundle(written.folder);
  return { digest: written.digest, metrics: figuresOf(whole) };
}

function widthOf(graph: Uint8Array, name: string): number {
  const width = inspectGraph(graph)
    .outputs.find((output) => output.name === 'embedding')
    ?.shape.at(-1);
  if (typeof width === 'number') return width;
  throw new ThalamusError('GRAPH_INVALID', `The base ${name} has no output "embedding" of a fixed width.`);
}

async function load(parent: MakingParent, width: number): Promise<LoadedParent> {
  const bundle = await openBundle(parent.folder);
  const head = await readClassifierHead(bundle, width);
  const adapter = bundle.manifest.kind === 'lowrank' ? await readLowRankAdapter(bundle) : undefined;
  return {
    ...parent,
    bundle,
    head,
    adapter,
    trainRows: await rowsOf(parent.train),
    testRows: await rowsOf(parent.test),
  };
}

async function rowsOf(files: readonly DataFile[]): Promise<LabelledText[]> {
  const read = await Promise.all(
    files.map(async ({ path, dataset }) => readCsv(await readFile(path), dataset)),
  );
  return read.flat();
}

function textsOf({ name, trainRows, testRows }: LoadedParent) {
  return { name, train: trainRows.map(({ text }) => text), test: testRows.map(({ text }) => text) };
}

/** Texts to compare answers on; what they say of accuracy would flatter, so the labels are left out. */
function unlabelled(rows: readonly LabelledText[]): LabelledText[] {
  return rows.slice(0, MAX_CHECKED_ROWS).map(({ text }) => ({ text, label: '' }));
}

function merge(
  task: MakingTask,
  base: Uint8Array,
  parents: readonly LoadedParent[],
  router: FittedRouter,
): MergedGraph {
  const names = parents.map(({ name }) => name).sort();
  return mergeMethod(task.method).merge({
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

/** Files of the base that the result needs: the tokenizer, and notices that must go along. */
async function besideGraph(base: OpenedBundle<ExpertManifest>): Promise<BundleFiles> {
  const paths = base.manifest.files
    .map(({ path }) => path)
    .filter((path) => path !== 'model.onnx' && path !== 'README.md');
  const files = await Promise.all(paths.map(async (path) => [path, await base.readFile(path)] as const));
  return Object.fromEntries(files);
}
