import { COMPOSITION_FIGURES, openBundle, type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import {
  evaluateComposition,
  evaluateMaskedComposition,
  type CompositionEvaluation,
  type JudgedDomainTask,
  type JudgedTask,
} from '@thalamus/composition';
import { ThalamusError } from '@thalamus/errors';
import { baseFolder } from '../compose/local-plan.js';
import { listBundles, openByDigest, parentFolders, type ParentBundle } from '../compose/parent-bundles.js';
import { compositionProgress } from '../compose/progress-view.js';
import {
  dataFiles,
  fileOf,
  filesByParent,
  readDomainLines,
  readTaskRows,
  type TaskFile,
  type TaskOwner,
} from '../compose/task-files.js';
import { createOutput, table } from '../output.js';
import { localTools, openLocalBase } from '../training/local-tools.js';

/** Options of `compose evaluate`. */
export interface EvaluateCompositionOptions {
  readonly json: boolean;
  readonly data: readonly string[];
  readonly parents: readonly string[];
  readonly base?: string;
  readonly threads?: number;
}

/** Texts and nothing else go in: the router of the composition chooses. */
const PROTOCOL = 'honest';
/** Bytes of a number in float32. */
const FLOAT32 = 4;

/** A parent as the lineage names it, with its bundle where that is here. */
interface FoundParent extends TaskOwner {
  readonly name: string;
  readonly bundle: OpenedBundle<ExpertManifest> | undefined;
}

/**
 * Measures a composition on the tasks of its parents, beside each parent alone.
 * @throws BUNDLE_INVALID, METHOD_UNSUPPORTED for what is no composition, DATASET_INVALID, EXPERT_NOT_FOUND for a parent that cannot
 * answer the rows, CONFIG_INVALID for a task without rows
 */
export async function evaluateLocally(folder: string, options: EvaluateCompositionOptions): Promise<void> {
  const composition = await openBundle(folder);
  const base = await openBundle(baseFolder(options.base));
  const parents = await parentsOf(composition, listBundles(parentFolders(options.parents)));
  const given = filesByParent('--data', options.data, parents);
  const evaluation =
    composition.manifest.task === 'fill-mask'
      ? await measuredMasked(composition, parents, given, options)
      : await measured(composition, parents, given, options);
  const bytes = composition.sizeBytes;
  const parentBytes = parents.reduce(
    (sum, { bundle }) => sum + FLOAT32 * (bundle?.manifest ?? base.manifest).parameterCount,
    0,
  );
  report(options, composition.manifest.name, { ...evaluation, bytes, parentBytes });
}

type GivenFiles = ReadonlyMap<string, readonly TaskFile[]>;

/** A parent with the files of its rows. @throws CONFIG_INVALID for a task without rows */
function judgedFiles(parent: FoundParent, given: GivenFiles) {
  const { name } = parent;
  const files = dataFiles(parent, 'test', given);
  if (files.length === 0)
    throw new ThalamusError(
      'CONFIG_INVALID',
      `The zoo has no test sample for ${name}; name rows with --data ${name}=${fileOf(parent)}.`,
    );
  return { name, files, task: given.get(name)?.[0]?.task ?? files[0]?.dataset ?? name };
}

async function measured(
  composition: OpenedBundle<ExpertManifest>,
  parents: readonly FoundParent[],
  given: GivenFiles,
  options: EvaluateCompositionOptions,
): Promise<CompositionEvaluation> {
  const judged = parents.map((parent): JudgedTask => {
    const { name, files, task } = judgedFiles(parent, given);
    const rows = readTaskRows(files, parent);
    const known = () =>
      knownFigure(composition, parent, { isGiven: given.has(name), counts: ({ n }) => n === rows.length });
    return { task, name, rows, alone: parent.bundle ?? known() };
  });
  const needsBase = judged.some(({ alone }) => typeof alone !== 'number' && alone.manifest.base);
  return withTools(options, async (tools, onRows) => {
    const base = needsBase ? await openLocalBase(options.base, tools) : undefined;
    return evaluateComposition(composition, judged, { ...tools, base }, onRows);
  });
}

async function measuredMasked(
  composition: OpenedBundle<ExpertManifest>,
  parents: readonly FoundParent[],
  given: GivenFiles,
  options: EvaluateCompositionOptions,
): Promise<CompositionEvaluation> {
  const judged = parents.map((parent): JudgedDomainTask => {
    const { name, files, task } = judgedFiles(parent, given);
    const lines = readDomainLines(files);
    // Samples are judged whole when a composition is made.
    const known = () => knownFigure(composition, parent, { isGiven: given.has(name), counts: () => true });
    return { task, name, lines, alone: parent.bundle ?? known() };
  });
  return withTools(options, async (tools, onRows) =>
    evaluateMaskedComposition(composition, judged, await openLocalBase(options.base, tools), onRows),
  );
}

async function withTools<T>(
  { json, threads }: EvaluateCompositionOptions,
  work: (tools: ReturnType<typeof localTools>, onRows: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  const tools = localTools(threads);
  const bar = await compositionProgress(json);
  try {
    return await work(tools, (done, total) => {
      bar.step({ stage: 'quality', done, total });
    });
  } finally {
    bar.end();
    await tools.runtime.close();
  }
}

/** Parents by name, with what is known of those that are not here. */
async function parentsOf(
  { manifest }: OpenedBundle<ExpertManifest>,
  bundles: readonly ParentBundle[],
): Promise<FoundParent[]> {
  const { name, kind, task, lineage, labels } = manifest;
  if (kind !== 'twin' || !lineage)
    throw new ThalamusError(
      'METHOD_UNSUPPORTED',
      `${name} is ${kind} and no composition; "thalamus experts evaluate" measures it.`,
    );
  // The last rows of its training data are the router's, one for each parent in their order.
  const routed = manifest.trainingData.slice(-lineage.parents.length);
  const found: FoundParent[] = [];
  for (const [at, parent] of lineage.parents.entries()) {
    const bundle = await openByDigest(bundles, parent.digest);
    const trainingData = (routed[at] ? [routed[at]] : []).flatMap((row) =>
      row.name
        .replace(/^router: /, '')
        .split(', ')
        .map((name) => ({ ...row, name: name.replace(/@\d+$/, '') })),
    );
    found.push({ name: parent.name, manifest: bundle?.manifest ?? { task, labels, trainingData }, bundle });
  }
  return found;
}

/** Figure of a parent that is not here, as it was measured when the composition was made. @throws EXPERT_NOT_FOUND */
function knownFigure(
  { manifest }: OpenedBundle<ExpertManifest>,
  { name }: FoundParent,
  {
    isGiven,
    counts,
  }: { readonly isGiven: boolean; readonly counts: (row: { readonly n: number }) => boolean },
): number {
  const wanted =
    manifest.task === 'fill-mask' ? COMPOSITION_FIGURES.parentNats : COMPOSITION_FIGURES.parentAccuracy;
  const row = manifest.evaluation.find(
    (own) => own.dataset === name && own.metric === wanted && own.split === 'test' && counts(own),
  );
  if (row && !isGiven) return row.value;
  const digest = manifest.lineage?.parents.find((parent) => parent.name === name)?.digest ?? '';
  throw new ThalamusError(
    'EXPERT_NOT_FOUND',
    `The parent ${name} (${digest}) is in none of the folders, and on these rows it has not been measured; name the folder that holds it with --parents.`,
  );
}

function report(
  { json }: EvaluateCompositionOptions,
  name: string,
  result: CompositionEvaluation & { readonly bytes: number; readonly parentBytes: number },
): void {
  const { normalized, tasks, bytes, parentBytes, routerAccuracy } = result;
  const value = {
    normalized,
    tasks: tasks.map(({ task, n, unit, parent, composed, normalized: score }) => ({
      task,
      n,
      unit,
      parent,
      composed,
      normalized: score,
    })),
    bytes,
    parentBytes,
    routerAccuracy,
    protocol: PROTOCOL,
  };
  const shown = (score: number | null) => score?.toFixed(4) ?? '-';
  createOutput(json).answer(value, () => [
    `${name}, its router choosing (protocol ${PROTOCOL}):`,
    ...table([
      ['  task', 'n', `parent (${unitOf(tasks)})`, 'composed', 'normalised', 'routed to it'],
      ...tasks.map(({ task, n, parent, composed, normalized: score, routed }) => [
        `  ${task}`,
        String(n),
        parent.toFixed(4),
        composed.toFixed(4),
        shown(score),
        routed.toFixed(4),
      ]),
    ]),
    `  normalised score ${shown(normalized)}, router accuracy ${routerAccuracy.toFixed(4)}`,
    `  ${bytes} bytes, ${((100 * bytes) / parentBytes).toFixed(1)} % of the ${parentBytes} of the parents' dense float32 weights`,
  ]);
}

/** All tasks of a composition are in one unit. */
const unitOf = (tasks: CompositionEvaluation['tasks']) =>
  tasks[0]?.unit === 'nats' ? 'nats a hidden word piece' : 'accuracy';
