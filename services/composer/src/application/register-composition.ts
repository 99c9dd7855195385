import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  importBundle,
  isDigest,
  MAX_MANIFEST_BYTES,
  parseExpertManifest,
  readArtifact,
  type ArtifactStore,
} from '@thalamus/bundle';
import { figuresOf, type MadeComposition } from '@thalamus/composition';
import { ThalamusError } from '@thalamus/errors';
import type { FoundComposition } from './find-composition.js';
import type { CompositionPlan } from './plan-composition.js';
import type { Registry } from './registry.port.js';

/** A composed version and its figures. */
export type ComposedVersion = Pick<FoundComposition, 'version' | 'manifestDigest' | 'metrics'>;

/** What is to be registered. */
export interface Registration {
  readonly plan: CompositionPlan;
  readonly version: string;
  readonly folder: string;
  readonly made: MadeComposition;
  /** Seconds that a new expert lives unless used; 0 means for ever. */
  readonly timeToLiveS: number;
}

/** Stores a made bundle and registers it: first the version, then the composition, so that a recipe found is complete. */
export class RegisterComposition {
  constructor(
    private readonly registry: Registry,
    private readonly store: ArtifactStore,
    private readonly now: () => number,
  ) {}

  /** A version that was registered for this recipe by a run that ended before it could record the composition. */
  async unfinished(plan: CompositionPlan): Promise<ComposedVersion | undefined> {
    for (const { version, manifestDigest } of await this.registry.versions(plan.expert)) {
      // Whose manifest has gone from the store cannot be found again; the next version is made.
      if (!isDigest(manifestDigest) || !(await this.store.stat(manifestDigest))) continue;
      const bytes = await readArtifact(this.store, manifestDigest, MAX_MANIFEST_BYTES);
      const manifest = parseExpertManifest(bytes, manifestDigest);
      if (manifest.lineage?.recipe === plan.canonical)
        return { version, manifestDigest, metrics: figuresOf(manifest) };
    }
    return undefined;
  }

  /** The version that the next result gets. */
  async nextVersion(expert: string): Promise<string> {
    const versions = (await this.registry.versions(expert)).map(({ version }) => BigInt(version));
    return String(versions.reduce((most, version) => (version > most ? version : most), 0n) + 1n);
  }

  /** @throws EXPERT_NOT_FOUND when a parent was removed meanwhile, ARTIFACT_STORE_FULL */
  async run(registration: Registration, signal: AbortSignal): Promise<FoundComposition> {
    const { plan, version, folder, timeToLiveS, made } = registration;
    await this.requireParents(plan);
    const { digest: manifestDigest } = await importBundle(folder, this.store);
    // Once more: storing takes a while, and the registry knows nothing of parents of what is not registered yet.
    await this.requireParents(plan);
    const isNew = (await this.registry.expert(plan.expert)) === undefined;
    await this.registry.registerVersion(
      {
        version: { expert: plan.expert, version, manifestDigest },
        description: isNew ? describe(plan) : '',
        ...(timeToLiveS > 0 ? { expiresAt: timestampFromMs(this.now() + timeToLiveS * 1000) } : {}),
      },
      signal,
    );
    return this.record(plan, { version, manifestDigest, metrics: made.metrics }, signal);
  }

  /** Whoever took a parent away while it was composed does not want it in anything new. */
  private async requireParents({ parents }: CompositionPlan): Promise<void> {
    for (const { name, version, digest } of parents) {
      const known = await this.registry.version(name, version);
      if (known?.manifestDigest !== digest)
        throw new ThalamusError(
          'EXPERT_NOT_FOUND',
          `The parent ${name}@${version} was removed while it was composed; nothing was registered. Register it again, or leave it out.`,
          { violations: [{ field: 'recipe.parents', description: `${name}@${version} was removed` }] },
        );
    }
  }

  /** Takes away the end of a composition that was to live for a while only: whoever composes it now wants it for ever. */
  async keep(
    { expert, version, manifestDigest }: Pick<FoundComposition, 'expert' | 'version' | 'manifestDigest'>,
    signal: AbortSignal,
  ): Promise<void> {
    if ((await this.registry.expert(expert))?.expiresAt === undefined) return;
    await this.registry.registerVersion({ version: { expert, version, manifestDigest } }, signal);
  }

  /** Records that a recipe has run. */
  async record(
    plan: CompositionPlan,
    result: ComposedVersion,
    signal: AbortSignal,
  ): Promise<FoundComposition> {
    const parents = plan.parents.map(({ name, version }) => `${name}@${version}`);
    await this.registry.registerComposition(
      {
        recipeDigest: plan.digest,
        expert: plan.expert,
        version: result.version,
        parents,
        method: plan.recipe.document.method,
        metrics: { ...result.metrics },
      },
      signal,
    );
    return { expert: plan.expert, ...result, recipeDigest: plan.digest, parents, existed: false };
  }
}

function describe({ parents, recipe }: CompositionPlan): string {
  const names = parents.map(({ name, version }) => `${name}@${version}`).join(', ');
  return `Composed by ${recipe.document.method} of ${names}: one graph with a router of its own.`.slice(
    0,
    2000,
  );
}
