import { openBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { InferenceRuntime } from '@thalamus/inference';
import { Tokenizer } from '@thalamus/inference';
import { compositionMethod, routerLogits, softmaxInPlace } from '@thalamus/model-merge';
import { argMax, createRandom } from '@thalamus/tensor';
import { mixSeed, openTrainingBase, type LabelledText, type TrainingBase } from '@thalamus/training';
import { answersAlone } from '../answers-alone.js';
import type { CompositionTask } from '../composition-task.js';
import { fitRouter, ROUTER_DEFAULTS } from '../fit-router.js';
import { servedTask } from '../masked/served-task.js';
import { openParent, type OpenedParent } from '../open-parent.js';
import { staticRecipe } from '../recipe-settings.js';
import { readTaskRows } from '../task-rows.js';
import { mergedAnswers } from './merged-answers.js';
import { qualityEstimate, taskEstimate, type QualityEstimate } from './quality-estimate.js';

/** What is probed: a recipe with its parents, and how many rows of each task. */
export interface ProbeTask extends Pick<
  CompositionTask,
  'document' | 'seed' | 'prompts' | 'parents' | 'base' | 'threads'
> {
  readonly rows: number;
}

/** A row that a parent is judged on. */
export interface ProbeRow extends LabelledText {
  /** Index of its parent. */
  readonly parent: number;
  /** Index of the parent that the router gives it to. */
  readonly routed: number;
  readonly ids: readonly number[];
}

/** Most training texts of a parent that the router of a probe is fitted to. */
const ROUTER_ROWS = 400;
/** Most of the training rows that judge where there are no others; the router is fitted to the rest. */
const MOST_HELD_OUT = 0.25;

const NOTES = {
  parent:
    'The router of the composition is fitted to more rows where there are more, and then goes astray less.',
  weights:
    'What mixing and compressing weights costs is left out; the router is fitted to more rows where there are more.',
  static: 'The router is fitted to more rows where there are more, and then goes astray less.',
  unmerged:
    'Merged weights were not tried: the answers are those of the parents, which a static merge seldom reaches.',
  information:
    'Merged weights were not tried, since measuring Fisher information takes minutes: the answers are those of the parents, which a static merge seldom reaches.',
} as const;

/**
 * Estimates what the tasks of a composition would keep, on a few rows of each: a router is fitted to other rows, every row is given
 * to the parent that it names, and that parent answers; of static merges the merged weights answer then. Each estimate is told as
 * soon as it stands, a better one after it.
 * @throws METHOD_UNSUPPORTED for a router of texts without labels and for masked language models; as `openParent` and `fitRouter`
 */
export async function probeQuality(
  task: ProbeTask,
  runtime: InferenceRuntime,
  tell: (estimate: QualityEstimate) => void,
): Promise<void> {
  const { threads, document } = task;
  if (task.prompts.length > 0)
    throw new ThalamusError(
      'METHOD_UNSUPPORTED',
      'A router that is fitted to texts without labels is not probed: every parent would have to read all of them.',
    );
  if ((await servedTask(task.parents)) === 'fill-mask')
    throw new ThalamusError(
      'METHOD_UNSUPPORTED',
      'Masked language models are not probed: a parent that answers alone says nothing of a head that is mixed.',
    );
  const readTokenizer = (json: Uint8Array) => Tokenizer.parse(json);
  const base = await openTrainingBase(task.base.folder, { runtime, threads, readTokenizer });
  const { rows, splits } = await routedRows(task, base, runtime);
  const { alone, routed } = await parentsAnswers(task.parents, rows, base);
  const told = (answers: readonly string[], how: Pick<QualityEstimate, 'basis' | 'note'>) => {
    const tasks = task.parents.flatMap(({ name }, parent) => {
      const mine = rows.flatMap((row, at) => (row.parent === parent ? [{ row, at }] : []));
      const outcomes = mine.map(({ row, at }) => ({
        alone: alone[at] === row.label,
        composed: answers[at] === row.label,
        routed: row.routed === parent,
      }));
      return outcomes.length === 0 ? [] : [taskEstimate(name, splits[parent]!, outcomes)];
    });
    if (tasks.every(({ alone: share }) => share === 0))
      throw new ThalamusError(
        'DATASET_INVALID',
        'No parent is right on any of the rows that were looked at, so that nothing says what a composition would keep; see that their labels are those of the parents.',
      );
    tell(qualityEstimate(tasks, how));
  };
  const { chooses } = compositionMethod(document.method);
  if (chooses !== 'static') {
    told(routed, { basis: 'parents', note: NOTES[chooses] });
    return;
  }
  const recipe = staticRecipe(document, base.read.config.layers);
  told(routed, { basis: 'parents', note: recipe.information ? NOTES.information : NOTES.unmerged });
  if (recipe.information) return;
  // All weights of all parents are opened for the merge alone: what was told by then stands where there is no time for it.
  const parents: OpenedParent[] = [];
  for (const { name, folder } of task.parents) parents.push({ ...(await openParent(folder, base)), name });
  told(await mergedAnswers(recipe, parents, rows, base), { basis: 'merged', note: NOTES.static });
}

/** A few rows of each task with the parent that a router gives them to, which was fitted to none of them. */
async function routedRows(
  { parents, seed, rows: most }: ProbeTask,
  base: TrainingBase,
  runtime: InferenceRuntime,
): Promise<{ readonly rows: readonly ProbeRow[]; readonly splits: readonly ('test' | 'train')[] }> {
  const read = await readTaskRows(parents);
  const splits = read.map(({ test }) => (test.length > 0 ? 'test' : 'train'));
  const judged = read.map((own, at) => {
    const known = own[splits[at]!];
    const count = splits[at] === 'test' ? most : Math.min(most, Math.ceil(MOST_HELD_OUT * known.length));
    return createRandom(mixSeed(seed, at))
      .shuffle([...known])
      .slice(0, count);
  });
  const texts = (of: readonly LabelledText[]) => of.map(({ text }) => text);
  const tasks = parents.map(({ name }, at) => {
    const test = [...texts(read[at]!.test), ...texts(judged[at]!)];
    return [name, { train: texts(read[at]!.train), validation: [], test }] as const;
  });
  const { router } = await fitRouter(
    new Map(tasks),
    { ...ROUTER_DEFAULTS, rowsPerParent: ROUTER_ROWS },
    {
      shared: base.read.weights,
      config: base.read.config,
      tokens: base.tokens,
      maxTokens: base.manifest.maxTokens,
      runtime,
      threads: base.threads,
      seed,
    },
  );
  const flat = judged.flatMap((own, parent) => own.map((row) => ({ ...row, parent })));
  const encoded = await base.tokens.encode(texts(flat), base.manifest.maxTokens);
  const rows = flat.map((row, at) => {
    const { ids } = encoded[at]!;
    return { ...row, ids, routed: argMax(softmaxInPlace(routerLogits(router, ids))) };
  });
  return { rows, splits };
}

/** Labels that rows get of their own parents, and of those that the router gives them to. */
async function parentsAnswers(
  parents: ProbeTask['parents'],
  rows: readonly ProbeRow[],
  base: TrainingBase,
): Promise<{ readonly alone: readonly string[]; readonly routed: readonly string[] }> {
  const none = () => new Array<string>(rows.length).fill('');
  const [alone, routed] = [none(), none()];
  const tools = { runtime: base.runtime, threads: base.threads, base, readTokenizer: () => base.tokens };
  for (const [parent, { folder }] of parents.entries()) {
    const asked = [...rows.keys()].filter((at) => [rows[at]!.parent, rows[at]!.routed].includes(parent));
    const texts = asked.map((at) => rows[at]!.text);
    const labels =
      texts.length === 0 ? [] : await answersAlone(await openBundle(folder), texts, tools, () => undefined);
    asked.forEach((at, place) => {
      if (rows[at]!.parent === parent) alone[at] = labels[place] ?? '';
      if (rows[at]!.routed === parent) routed[at] = labels[place] ?? '';
    });
  }
  return { alone, routed };
}
