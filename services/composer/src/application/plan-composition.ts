import {
  MAX_MANIFEST_BYTES,
  isDigest,
  parseDigest,
  parseExpertManifest,
  readArtifact,
  type ArtifactStore,
  type Digest,
  type ExpertManifest,
} from '@thalamus/bundle';
import {
  baseFacts,
  canonicalRecipe,
  estimateComposition,
  expertNameOf,
  parentFacts,
  recipeDigest,
  requireParametersFor,
  standsOn,
  type PinnedParent,
  type Recipe,
} from '@thalamus/composition';
import { ThalamusError } from '@thalamus/errors';
import { findObstacles, type Obstacle, type ParentFacts } from '@thalamus/model-merge';
import { citedDatasets, type CitedDatasets } from './cited-datasets.js';
import type { Registry } from './registry.port.js';

/** A parent with what the registry and its manifest say. */
export interface PlannedParent extends PinnedParent, CitedDatasets {
  /** Undefined for what has no bundle. */
  readonly manifest: ExpertManifest | undefined;
}

/** The base that parents stand on. */
export interface PlannedBase {
  readonly digest: Digest;
  readonly manifest: ExpertManifest;
}

/** What a recipe would do. */
export interface CompositionPlan {
  readonly recipe: Recipe;
  /** Text whose digest is the recipe's identity. */
  readonly canonical: string;
  readonly digest: Digest;
  /** Name of the expert to be made. */
  readonly expert: string;
  /** Sorted by name. */
  readonly parents: readonly PlannedParent[];
  /** Undefined when it is not registered or no parent has one. */
  readonly base: PlannedBase | undefined;
  readonly obstacles: readonly Obstacle[];
  /** Bytes of the resulting bundle, estimated. */
  readonly sizeBytes: number;
  /** Bytes of memory while it is made, estimated. */
  readonly memoryBytes: number;
  /** Gradients that Fisher information is measured by, at most. */
  readonly gradients: number;
}

/** Finds out what a recipe would do, without opening any weights. */
export class PlanComposition {
  constructor(
    private readonly registry: Registry,
    private readonly store: ArtifactStore,
  ) {}

  /** @throws EXPERT_NOT_FOUND for a parent that is not registered, ARTIFACT_NOT_FOUND for a manifest that is not stored */
  async run(recipe: Recipe): Promise<CompositionPlan> {
    const parents = await Promise.all(
      recipe.document.models.map((parent, index) => this.parent(parent, index)),
    );
    const tasks = parents.flatMap(({ manifest }) => manifest?.task ?? []);
    requireParametersFor(recipe, tasks);
    const base = await this.base(parents, recipe);
    const canonical = canonicalRecipe(recipe, parents);
    const digest = recipeDigest(canonical);
    const obstacles = findObstacles(
      recipe.method,
      parents.map((parent) => this.factsOf(parent, recipe)),
      base && baseFacts(base.digest, base.manifest),
    );
    const expert = expertNameOf(recipe, digest);
    await this.checkName(expert, tasks[0] ?? 'text-classification');
    return {
      recipe,
      canonical,
      digest,
      expert,
      parents,
      base,
      obstacles,
      ...estimateComposition(
        recipe,
        parents.map(({ manifest }) => manifest),
        base?.manifest,
      ),
    };
  }

  private async parent(
    { name, version }: Recipe['document']['models'][number],
    index: number,
  ): Promise<PlannedParent> {
    const expert = await this.registry.expert(name);
    const number = version || (expert?.stable ?? '');
    const known = number === '' ? undefined : await this.registry.version(name, number);
    if (!known) {
      const missing = expert
        ? `${name} has no version ${number || 'on its stable channel'}`
        : `No expert "${name}" is registered`;
      throw new ThalamusError(
        'EXPERT_NOT_FOUND',
        `${missing}; "thalamus experts list" shows what there is.`,
        {
          violations: [{ field: `recipe.parents[${index}]`, description: 'unknown expert or version' }],
        },
      );
    }
    const manifest = isDigest(known.manifestDigest)
      ? await this.readManifest(known.manifestDigest)
      : undefined;
    const cited = manifest?.trainingData.map((row) => row.name) ?? [];
    const { train, test } = await citedDatasets(this.registry, cited);
    const digests = (datasets: typeof train) => datasets.map((dataset) => dataset.digest);
    return {
      name,
      version: number,
      digest: known.manifestDigest,
      rows: { train: digests(train), test: digests(test) },
      manifest,
      train,
      test,
    };
  }

  private factsOf({ name, version, manifest, train }: PlannedParent, { prompts }: Recipe): ParentFacts {
    const id = `${name}@${version}`;
    const hasTrainingRows = train.length > 0 || prompts.length > 0;
    if (manifest) return parentFacts(id, manifest, hasTrainingRows);
    // Without a bundle it is an upstream, and that is the obstacle.
    return {
      id,
      kind: 'upstream',
      task: '',
      licence: '',
      labels: [],
      hasExclusiveLabels: true,
      baseDigest: '',
      tokenizerDigest: '',
      hasTrainingRows,
    };
  }

  private async base(
    parents: readonly PlannedParent[],
    { document }: Recipe,
  ): Promise<PlannedBase | undefined> {
    const wanted = parents.map(({ manifest }) => standsOn(manifest)).find((base) => base !== undefined);
    const versions = wanted ? await this.registry.versions(wanted.name) : [];
    const known = versions.find(({ manifestDigest }) => manifestDigest === wanted?.digest);
    if (!wanted || !known) return undefined;
    const named = document.base;
    const isIt =
      !named || (named.name === wanted.name && (named.version === '' || named.version === known.version));
    if (!isIt)
      throw new ThalamusError(
        'REQUEST_INVALID',
        `The recipe names the base ${named.name}${named.version && `@${named.version}`}, but its parents stand on ${wanted.name}@${known.version}; name that one, or leave base_model out where the method allows it.`,
        { violations: [{ field: 'recipe.base_model', description: `must be ${wanted.name}` }] },
      );
    return { digest: wanted.digest, manifest: await this.readManifest(wanted.digest) };
  }

  private async readManifest(digest: string): Promise<ExpertManifest> {
    const bytes = await readArtifact(this.store, parseDigest(digest), MAX_MANIFEST_BYTES);
    return parseExpertManifest(bytes, digest);
  }

  private async checkName(name: string, wanted: string): Promise<void> {
    const task = (await this.registry.expert(name))?.task;
    if (task === undefined || task === wanted) return;
    throw new ThalamusError(
      'REQUEST_INVALID',
      `${name} is an expert for ${task}; a composition for ${wanted} cannot be a version of it. Choose another name.`,
      { violations: [{ field: 'recipe.name', description: `is taken by an expert for ${task}` }] },
    );
  }
}
