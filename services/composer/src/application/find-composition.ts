import type { Registry } from './registry.port.js';

/** A composition that ran. */
export interface FoundComposition {
  readonly expert: string;
  readonly version: string;
  readonly manifestDigest: string;
  readonly recipeDigest: string;
  /** name@version */
  readonly parents: readonly string[];
  readonly metrics: Readonly<Record<string, number>>;
  readonly existed: boolean;
}

/** The registered composition of a recipe whose expert is still there. */
export async function findComposition(
  registry: Registry,
  digest: string,
): Promise<FoundComposition | undefined> {
  const composition = await registry.composition(digest);
  if (!composition) return undefined;
  const { expert, version, parents, metrics } = composition;
  const registered = await registry.version(expert, version);
  if (!registered) return undefined;
  const { manifestDigest } = registered;
  return { expert, version, manifestDigest, recipeDigest: digest, parents, metrics, existed: true };
}
