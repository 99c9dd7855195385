import {
  COMPOSITION_REPORT,
  encodeCompositionReport,
  openBundle,
  writeBundle,
  type BundleFiles,
  type ExpertManifest,
  type OpenedBundle,
} from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { InferenceRuntime } from '@thalamus/inference';
import { compositionMethod } from '@thalamus/model-merge';
import type { CompositionTask, MadeComposition } from './composition-task.js';
import { describeComposition } from './describe-composition.js';
import { figuresOf } from './figures.js';
import { makeMerged } from './make-merged.js';
import { servedTask } from './masked/served-task.js';
import { makeMasked } from './masked/make-masked.js';
import type { OnProgress } from './progress.js';
import { taskFigures, type CompositionQuality, type QualityUnit } from './quality.js';
import { reportComposition } from './report-composition.js';
import { makeSwitch, type MadeGraph } from './switch/make-switch.js';

/**
 * Makes a composition from files: merges, fits the router, builds the graph, checks it, measures every parent's task, and writes the
 * bundle. Heavy: it belongs in a process of its own. Equal parts and recipes give equal bytes, in whatever folder, at whatever time and
 * in whatever order the parents are named.
 * @throws COMPOSITION_REFUSED when a check fails or a parent loses too much, REQUEST_INVALID, GRAPH_INVALID, BUNDLE_INVALID,
 * DATASET_INVALID
 */
export async function makeComposition(
  given: CompositionTask,
  runtime: InferenceRuntime,
  onProgress: OnProgress,
): Promise<MadeComposition> {
  const task = { ...given, parents: given.parents.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
  const base = await openBundle(task.base.folder);
  const made = await makeGraph(task, base, runtime, onProgress);
  requireQuality(made.quality, task.maxLossPoints);
  const manifest = describeComposition(task, base.manifest, made.parents, made);
  const files = { 'model.onnx': made.bytes, ...(await besideGraph(base)) };
  const report = reportComposition(task, base.manifest, made, files);
  const written = await writeBundle(task.outputFolder, manifest, {
    ...files,
    [COMPOSITION_REPORT]: encodeCompositionReport(report),
  });
  const { manifest: whole } = await openBundle(written.folder);
  return { digest: written.digest, metrics: figuresOf(whole) };
}

async function makeGraph(
  task: CompositionTask,
  base: OpenedBundle<ExpertManifest>,
  runtime: InferenceRuntime,
  onProgress: OnProgress,
): Promise<MadeGraph> {
  if (compositionMethod(task.document.method).chooses === 'parent')
    return makeSwitch(task, base, runtime, onProgress);
  return (await servedTask(task.parents)) === 'fill-mask'
    ? makeMasked(task, runtime, onProgress)
    : makeMerged(task, runtime, onProgress);
}

/** What is lost of each unit, and of what on how many. */
const LOST: Readonly<Record<QualityUnit, (points: string, n: number) => string>> = {
  accuracy: (points, n) => `${points} points of accuracy on ${n} rows of its task`,
  nats: (points, n) => `${points} points of its normalised score on ${n} hidden word pieces of its domain`,
};

/** @throws COMPOSITION_REFUSED that names every parent whose task loses more than is allowed */
function requireQuality({ parents }: CompositionQuality, maxLossPoints: number): void {
  const lost = parents.flatMap((parent) => {
    if (parent.n === 0) return [];
    const { lost: share, unit } = taskFigures(parent);
    return 100 * share > maxLossPoints ? [{ name: parent.name, n: parent.n, points: 100 * share, unit }] : [];
  });
  if (lost.length === 0) return;
  const list = lost
    .map(({ name, n, points, unit }) => `${name} loses ${LOST[unit](points.toFixed(1), n)}`)
    .join(', ');
  throw new ThalamusError(
    'COMPOSITION_REFUSED',
    `The composition does too much worse than its parents: ${list}, and ${maxLossPoints} are allowed. Leave out parents whose texts are alike, give the router more training rows, raise the rank, or allow more. Nothing was kept.`,
    {
      violations: lost.map(({ name, points }) => ({
        field: name,
        description: `loses ${points.toFixed(1)} points`,
      })),
    },
  );
}

/** Files of the base that the result needs: the tokenizer, and notices that must go along. */
async function besideGraph(base: OpenedBundle<ExpertManifest>): Promise<BundleFiles> {
  const paths = base.manifest.files
    .map(({ path }) => path)
    .filter((path) => path !== 'model.onnx' && path !== 'README.md');
  const files = await Promise.all(paths.map(async (path) => [path, await base.readFile(path)] as const));
  return Object.fromEntries(files);
}
