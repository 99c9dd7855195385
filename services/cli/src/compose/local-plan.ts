import { digestOf, openBundle, type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import {
  baseFacts,
  canonicalRecipe,
  estimateComposition,
  expertNameOf,
  parentFacts,
  recipeDigest,
  requireParametersFor,
  type CompositionEstimate,
  type CompositionTask,
  type DataFile,
  type Recipe,
  type TaskParent,
} from '@thalamus/composition';
import { ThalamusError } from '@thalamus/errors';
import { findObstacles, type Obstacle } from '@thalamus/model-merge';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zooFolder } from '../mesh/zoo-index.js';
import { readData } from '../training/read-rows.js';
import { listBundles, openParentBundle, parentFolders } from './parent-bundles.js';
import { checkTaskFiles, dataFiles, dataSets, fileOf, filesByParent, type TaskOwner } from './task-files.js';

/** Options that say what a composition in this process is made of. */
export interface PartsOptions {
  readonly parents: readonly string[];
  readonly base?: string;
  readonly data: readonly string[];
  readonly test: readonly string[];
}

/** A recipe with everything that it names, found on this machine. */
export interface LocalPlan extends CompositionEstimate {
  readonly recipe: Recipe;
  /** Text whose digest is the recipe's identity. */
  readonly canonical: string;
  readonly digest: string;
  /** Name of the expert to be made. */
  readonly expert: string;
  readonly obstacles: readonly Obstacle[];
  readonly parents: readonly (TaskParent & { readonly manifest: ExpertManifest })[];
  readonly base: OpenedBundle<ExpertManifest>;
}

/** Folder of the base that the repository ships. */
export function baseFolder(given: string | undefined): string {
  return given ?? join(zooFolder(), 'base', 'minilm-l6');
}

/**
 * Finds parents, base and rows of a recipe on this machine. Digests of bundles are checked, and every file of rows is read.
 * @throws EXPERT_NOT_FOUND, BUNDLE_INVALID, DATASET_INVALID, REQUEST_INVALID for a base that is not the recipe's, CONFIG_INVALID
 */
export async function planLocally(recipe: Recipe, options: PartsOptions): Promise<LocalPlan> {
  const base = await openBundle(baseFolder(options.base));
  requireBase(recipe, base);
  const folders = parentFolders(options.parents);
  const bundles = listBundles(folders);
  const opened: { name: string; bundle: OpenedBundle<ExpertManifest> }[] = [];
  for (const model of recipe.document.models)
    opened.push({ name: model.name, bundle: await openParentBundle(bundles, model, folders) });
  requireParametersFor(
    recipe,
    opened.map(({ bundle }) => bundle.manifest.task),
  );
  const owners = opened.map(({ name, bundle }): TaskOwner => ({ name, manifest: bundle.manifest }));
  const [data, test] = [
    filesByParent('--data', options.data, owners),
    filesByParent('--test', options.test, owners),
  ];
  const parents = opened.map(({ name, bundle: { manifest, digest, folder } }) => {
    const owner = { name, manifest };
    const files = { train: dataFiles(owner, 'train', data), test: dataFiles(owner, 'test', test) };
    checkTaskFiles(files.train, owner, 'train');
    checkTaskFiles(files.test, owner, 'test');
    const rows = { train: digestsOf(files.train), test: digestsOf(files.test) };
    return { name, version: manifest.version, digest, rows, folder, manifest, ...files };
  });
  const canonical = canonicalRecipe(recipe, parents);
  const digest = recipeDigest(canonical);
  return {
    recipe,
    canonical,
    digest,
    expert: expertNameOf(recipe, digest),
    parents,
    base,
    obstacles: obstaclesOf(recipe, parents, base),
    ...estimateComposition(
      recipe,
      parents.map(({ manifest }) => manifest),
      base.manifest,
    ),
  };
}

const digestsOf = (files: readonly DataFile[]) => files.map(({ path }) => digestOf(readData(path)));

/** What makes the plan into a bundle. */
export function taskOf(
  { recipe, canonical, expert, parents, base }: LocalPlan,
  how: Pick<CompositionTask, 'outputFolder' | 'threads' | 'maxLossPoints'>,
): CompositionTask {
  return {
    document: recipe.document,
    seed: recipe.seed,
    recipe: canonical,
    prompts: recipe.prompts,
    parents: parents.map(({ name, version, digest, folder, train, test }) => ({
      name,
      version,
      digest,
      folder,
      train,
      test,
    })),
    base: { digest: base.digest, folder: base.folder },
    result: { name: expert, version: '1', codeVersion: codeVersion() },
    ...how,
  };
}

/** @throws CONFIG_INVALID that names every parent whose rows are nowhere, and the option that names them */
export function requireTrainingRows({ parents, recipe }: LocalPlan): void {
  if (recipe.prompts.length > 0) return;
  const without = parents.filter(({ train }) => train.length === 0);
  const [first] = without;
  if (!first) return;
  const list = without.map(
    (parent) => `${parent.name} (trained on ${dataSets(parent).join(', ') || 'nothing that it names'})`,
  );
  throw new ThalamusError(
    'CONFIG_INVALID',
    `The router is fitted on rows of every parent's task, and the zoo has no sample for ${list.join(', ')}; name a file with --data ${first.name}=${fileOf(first)}${columnsOf(first)}.`,
  );
}

function obstaclesOf(
  recipe: Recipe,
  parents: LocalPlan['parents'],
  base: OpenedBundle<ExpertManifest>,
): readonly Obstacle[] {
  const facts = parents.map(({ name, version, manifest, train }) =>
    parentFacts(`${name}@${version}`, manifest, train.length > 0 || recipe.prompts.length > 0),
  );
  return findObstacles(recipe.method, facts, baseFacts(base.digest, base.manifest)).map((obstacle) =>
    obstacle.kind === 'dataset'
      ? {
          ...obstacle,
          description: `has no training rows here, and the router is fitted on them; name a file with --data ${withFile(obstacle.parent, parents)}.`,
        }
      : obstacle,
  );
}

/** `NAME=FILE` of a parent, name@version. */
function withFile(id: string, parents: LocalPlan['parents']): string {
  const [name = ''] = id.split('@');
  const parent = parents.find((own) => own.name === name);
  return `${name}=${parent ? fileOf(parent) : 'FILE'}`;
}

const columnsOf = ({ manifest: { task } }: TaskOwner) =>
  task === 'fill-mask' ? ', a text a line' : ', columns text and label';

/** @throws REQUEST_INVALID when the recipe names another base than the folder holds */
function requireBase(
  { document: { base } }: Recipe,
  { manifest, folder }: OpenedBundle<ExpertManifest>,
): void {
  const isIt =
    !base || (base.name === manifest.name && (base.version === '' || base.version === manifest.version));
  if (isIt) return;
  throw new ThalamusError(
    'REQUEST_INVALID',
    `The recipe names the base ${base.name}${base.version && `@${base.version}`}, but ${folder} is ${manifest.name}@${manifest.version}; name its folder with --base.`,
    { violations: [{ field: 'recipe.base_model', description: `is not ${manifest.name}` }] },
  );
}

function codeVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return `thalamus ${version}`;
}
