import type { PinnedParent } from '../../domain/composition-name.js';

/** Limits of one call, and for whom it is made. */
export interface ComposerCall {
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
  readonly tenant: string;
}

/** Why parents cannot be composed. */
export interface Obstacle {
  readonly kind: string;
  /** name@version, or a base; empty when it concerns all. */
  readonly parent: string;
  readonly description: string;
}

/** A recipe before any work. */
export interface CheckedRecipe {
  /** sha256:<hex> */
  readonly recipeDigest: string;
  readonly obstacles: readonly Obstacle[];
}

/** A composition that is registered. */
export interface MadeComposition {
  readonly recipeDigest: string;
  readonly expert: string;
  readonly version: string;
}

/** Makes one expert of several, by the method `twin` with its defaults. */
export interface Composer {
  /** @throws what the composer says; UPSTREAM_UNAVAILABLE when it is away */
  preflight(parents: readonly PinnedParent[], call: ComposerCall): Promise<CheckedRecipe>;
  /** Resolves when it is registered, made now or before. @throws as `preflight` */
  compose(
    parents: readonly PinnedParent[],
    timeToLiveS: number,
    call: ComposerCall,
  ): Promise<MadeComposition>;
}
