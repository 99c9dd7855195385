import {
  MAX_MANIFEST_BYTES,
  isDigest,
  LOW_RANK_FILES,
  parseDigest,
  parseExpertManifest,
  readArtifact,
  type ArtifactStore,
  type Digest,
  type ExpertManifest,
} from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { findObstacles, type Obstacle, type ParentFacts } from '@thalamus/model-merge';
import {
  canonicalRecipe,
  expertNameOf,
  recipeDigest,
  type PinnedParent,
  type Recipe,
} from '../domain/recipe.js';
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
}

/** The rank fraction that sizes are estimated by. */
const DEFAULT_FRACTION = 0.1;
/** The composing process itself with both runtimes, measured. */
const PROCESS_BYTES = 160 * 2 ** 20;
/** Copies of the base's graph that are held at the worst moment: files, parsed graphs and sessions of base and result. */
const BASE_COPIES = 9;
/** The same with low-rank parents, whose graph and whose parity check hold a second session and the larger results of branches. */
const LOW_RANK_BASE_COPIES = 24;
/** Copies of the stacked factors: read, padded, encoded, in a session. */
const STACK_COPIES = 5;

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
    const base = await this.base(parents, recipe);
    const canonical = canonicalRecipe(recipe, parents);
    const digest = recipeDigest(canonical);
    const obstacles = findObstacles(
      recipe.method,
      parents.map((parent) => this.factsOf(parent)),
      base && {
        id: `${base.manifest.name}@${base.manifest.version}`,
        digest: base.digest,
        tokenizerDigest: fileDigest(base.manifest, 'tokenizer.json'),
        licence: base.manifest.licence,
      },
    );
    const expert = expertNameOf(recipe, digest);
    await this.checkName(expert);
    return {
      recipe,
      canonical,
      digest,
      expert,
      parents,
      base,
      obstacles,
      ...estimate(recipe, parents, base),
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
    return {
      name,
      version: number,
      digest: known.manifestDigest,
      manifest,
      ...(await citedDatasets(this.registry, manifest?.trainingData.map((row) => row.name) ?? [])),
    };
  }

  private factsOf({ name, version, manifest, train }: PlannedParent): ParentFacts {
    const id = `${name}@${version}`;
    const hasTrainingRows = train.length > 0;
    if (manifest) {
      const { kind, task, licence, labels = [] } = manifest;
      const baseDigest = standsOn(manifest)?.digest ?? '';
      const tokenizerDigest = fileDigest(manifest, 'tokenizer.json');
      const hasExclusiveLabels = manifest.problemType !== 'multi_label_classification';
      return {
        id,
        kind,
        task,
        licence,
        labels,
        hasExclusiveLabels,
        baseDigest,
        tokenizerDigest,
        hasTrainingRows,
      };
    }
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

  private async checkName(name: string): Promise<void> {
    const task = (await this.registry.expert(name))?.task;
    if (task === undefined || task === 'text-classification') return;
    throw new ThalamusError(
      'REQUEST_INVALID',
      `${name} is an expert for ${task}; a composition of classifiers cannot be a version of it. Choose another name.`,
      { violations: [{ field: 'recipe.name', description: `is taken by an expert for ${task}` }] },
    );
  }
}

function fileDigest(manifest: ExpertManifest | undefined, path: string): string {
  return manifest?.files.find((file) => file.path === path)?.sha256 ?? '';
}

/** The base that a manifest's weights stand on; what was fully trained names it as what it comes from. */
function standsOn(manifest: ExpertManifest | undefined): { name: string; digest: Digest } | undefined {
  if (manifest?.kind === 'full') return manifest.lineage?.parents[0];
  return manifest?.base;
}

/** Sessions and copies of one encoder in float32 at the worst moment, parents not counted. */
const MERGED_COPIES = 6;
/** Tables of the router, with their gradients while it is fitted: bytes a parent. */
const ROUTER_BYTES = 2 * 2 ** 20;
/** Factors of a rank fraction take about this many times the fraction of the weights, two bytes a number. */
const FACTOR_SHARE = 1.3;

function estimate(recipe: Recipe, parents: readonly PlannedParent[], base: PlannedBase | undefined) {
  if (recipe.method.chooses === 'parent') return estimateSwitch(parents, base);
  const weights = base?.manifest.parameterCount ?? 0;
  const dense = 4 * weights;
  const stored = { int8: 1.1, float16: 2, float32: 4 }[recipe.document.dtype ?? 'float32'] * weights;
  const fraction = recipe.method.chooses === 'weights' ? DEFAULT_FRACTION : 0;
  const factors = 2 * FACTOR_SHARE * fraction * weights * parents.length;
  return {
    sizeBytes: Math.round(stored + factors + ROUTER_BYTES * parents.length),
    memoryBytes: Math.round(
      PROCESS_BYTES +
        (parents.length + MERGED_COPIES) * dense +
        6 * factors +
        8 * ROUTER_BYTES * parents.length,
    ),
  };
}

function estimateSwitch(parents: readonly PlannedParent[], base: PlannedBase | undefined) {
  const bytesOf = (manifest: ExpertManifest | undefined, path: string) =>
    manifest?.files.find((file) => file.path === path)?.bytes ?? 0;
  const baseBytes = base?.manifest.files.reduce((sum, file) => sum + file.bytes, 0) ?? 0;
  // Heads are stored as float16 and fused as float32.
  const headBytes = parents.reduce(
    (sum, { manifest }) => sum + 2 * bytesOf(manifest, LOW_RANK_FILES.head),
    0,
  );
  const adapters = parents
    .map(({ manifest }) => bytesOf(manifest, LOW_RANK_FILES.adapter))
    .filter((bytes) => bytes > 0);
  const isLowRank = adapters.length > 0;
  // Every row is padded to the largest, and there is one of zeros for parents without branches.
  const stackBytes = isLowRank ? (adapters.length + 1) * Math.max(...adapters) : 0;
  const copies = isLowRank ? LOW_RANK_BASE_COPIES : BASE_COPIES;
  return {
    sizeBytes: baseBytes + headBytes + stackBytes,
    memoryBytes: PROCESS_BYTES + copies * baseBytes + STACK_COPIES * stackBytes,
  };
}
