import {
  ProcessCompositionMaker,
  refuseObstacles,
  type MadeComposition,
  type CompositionTask,
} from '@thalamus/composition';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { ComposingFolder } from '../compose/composing-folder.js';
import {
  planLocally,
  requireTrainingRows,
  taskOf,
  type LocalPlan,
  type PartsOptions,
} from '../compose/local-plan.js';
import { preflightAnswer } from '../compose/preflight-answer.js';
import { probedLocally } from '../compose/probed-locally.js';
import { compositionProgress } from '../compose/progress-view.js';
import { readPrompts } from '../compose/prompt-files.js';
import { readRecipeFile } from '../compose/recipe-file.js';
import { fileOf } from '../compose/task-files.js';
import { EXIT } from '../exit-codes.js';
import { onInterrupt } from '../interruption.js';
import { createOutput, table } from '../output.js';
import { requireFree } from '../training/local-run.js';

/** Options that a recipe is read with. */
export interface LocalRecipeOptions extends PartsOptions {
  readonly json: boolean;
  readonly seed: number;
  readonly name?: string;
  /** Files of texts without labels that the router is fitted on. */
  readonly prompts: readonly string[];
}

/** Options of `compose preflight RECIPE.yaml` in this process. */
export interface LocalPreflightOptions extends LocalRecipeOptions {
  /** Whether quality is estimated. */
  readonly probe: boolean;
  readonly probeRows: number;
  readonly probeSeconds: number;
}

/** Options of `compose run RECIPE.yaml --out`. */
export interface LocalComposeOptions extends LocalRecipeOptions {
  readonly out: string;
  readonly threads?: number;
  /** Most points of accuracy, of 100, that the task of a parent may lose. */
  readonly maxLoss: number;
}

/** A process that says nothing for so long counts as hung, milliseconds; one matrix on a busy machine takes seconds. */
const STALL_MS = 1_800_000;

/**
 * Makes a composition of bundles on this machine and writes its bundle to a folder, which appears whole or not at all. The work is
 * done by a process of its own, so that Ctrl-C ends it at any time.
 * @throws EXPERT_NOT_FOUND, COMPOSITION_REFUSED, REQUEST_INVALID, DATASET_INVALID, BUNDLE_INVALID, CONFIG_INVALID
 */
export async function composeLocal(recipeFile: string, options: LocalComposeOptions): Promise<void> {
  const out = resolve(options.out);
  await requireFree(out);
  const plan = await planLocally(readRecipeFile(recipeFile, wishesOf(options)), options);
  requireTrainingRows(plan);
  refuseObstacles(plan.obstacles);
  const folder = ComposingFolder.take(out);
  try {
    const made = await makeInProcess(
      taskOf(plan, {
        outputFolder: folder.bundle,
        threads: options.threads ?? Math.min(4, availableParallelism()),
        maxLossPoints: options.maxLoss,
      }),
      options.json,
    );
    if (!made) return;
    folder.finish();
    report(options, out, plan, made);
  } finally {
    folder.leave();
  }
}

/** Says whether a recipe can be composed of bundles on this machine and what that costs; exit code 4 when it cannot. */
export async function preflightLocal(recipeFile: string, options: LocalPreflightOptions): Promise<void> {
  const plan = await planLocally(readRecipeFile(recipeFile, wishesOf(options)), options);
  const { obstacles, digest: recipeDigest, sizeBytes, memoryBytes, gradients } = plan;
  const quality =
    options.probe && obstacles.length === 0
      ? await probedLocally(plan, { rows: options.probeRows, seconds: options.probeSeconds })
      : undefined;
  preflightAnswer(options.json, {
    obstacles,
    recipeDigest,
    sizeBytes,
    memoryBytes,
    gradients,
    existing: '',
    quality,
  });
}

const wishesOf = ({ seed, name = '', prompts }: LocalRecipeOptions) => ({
  seed: BigInt(seed),
  name,
  prompts: readPrompts(prompts),
});

/** Undefined when it was interrupted, which is said and is the exit code. */
async function makeInProcess(task: CompositionTask, json: boolean): Promise<MadeComposition | undefined> {
  const maker = new ProcessCompositionMaker({ stallMs: STALL_MS });
  const stop = new AbortController();
  const release = onInterrupt(() => {
    stop.abort();
  });
  const bar = await compositionProgress(json);
  try {
    return await maker.make(task, (progress) => bar.step(progress), stop.signal);
  } catch (fault) {
    if (!stop.signal.aborted) throw fault;
    process.exitCode = EXIT.interrupted;
    return undefined;
  } finally {
    bar.end();
    await maker.close();
    if (stop.signal.aborted) process.stderr.write('Interrupted; nothing was written.\n');
    release();
  }
}

/** Names of the figures of a task, by what it is judged by; points are of accuracy, or of the normalised score. */
const ACCURACY = {
  unit: 'accuracy',
  composed: 'accuracy',
  alone: 'parent_accuracy',
  lost: 'accuracy_loss',
} as const;
const NATS = {
  unit: 'nats',
  composed: 'masked_log_loss',
  alone: 'parent_masked_log_loss',
  lost: 'score_loss',
} as const;

function report(
  options: LocalComposeOptions,
  out: string,
  plan: LocalPlan,
  { digest, metrics }: MadeComposition,
): void {
  const { expert, recipe, digest: recipeDigest } = plan;
  const parents = plan.parents.map(({ name, version }) => `${name}@${version}`);
  const value = { expert, method: recipe.method.name, folder: out, digest, recipeDigest, parents, metrics };
  const figure = (name: string, digits = 4) => metrics[name]?.toFixed(digits) ?? '-';
  const names = plan.parents.some(({ manifest }) => manifest.task === 'fill-mask') ? NATS : ACCURACY;
  const judged = plan.parents.filter(({ name }) => metrics[`${names.composed}/${name}`] !== undefined);
  const [first] = judged;
  createOutput(options.json).answer(value, () => [
    `${out}: ${expert}, ${recipe.method.name} of ${plan.parents.length} experts.`,
    ...table([
      ['  parent', `alone (${names.unit})`, 'composed', 'loses (points)'],
      ...judged.map(({ name }) => [
        `  ${name}`,
        figure(`${names.alone}/${name}`),
        figure(`${names.composed}/${name}`),
        (100 * (metrics[`${names.lost}/${name}`] ?? 0)).toFixed(1),
      ]),
    ]),
    ...unjudged(plan),
    ...table([
      ['  normalised score', figure('normalized')],
      ['  router accuracy', figure('router_accuracy')],
      ...(plan.recipe.prompts.length > 0
        ? [['  texts without labels kept, share', figure('prompts_kept', 2)]]
        : []),
      ['  largest difference to what it stands for', (metrics['parity_max_abs'] ?? 0).toExponential(1)],
      ['  bytes', String(metrics['bytes'] ?? '-')],
      ['  digest', digest],
    ]),
    '',
    `  npx thalamus compose evaluate ${options.out}`,
    ...(first?.test[0]
      ? [`  npx thalamus experts evaluate ${options.out} --data ${first.test[0].path}`]
      : []),
    `  npx thalamus experts add ${options.out}        # to a running mesh`,
  ]);
}

function unjudged({ parents }: LocalPlan): string[] {
  const without = parents.filter(({ test }) => test.length === 0);
  const [first] = without;
  return first === undefined
    ? []
    : [
        `  not judged, for want of test rows: ${without.map(({ name }) => name).join(', ')} (--test ${first.name}=${fileOf(first)})`,
      ];
}
