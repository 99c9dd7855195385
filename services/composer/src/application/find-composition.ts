import type { registryV1 } from '@thalamus/contracts';
import type { RegistryView } from '@thalamus/registry';

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
export function findComposition(view: RegistryView, digest: string): FoundComposition | undefined {
  const value = view.get(`composition/${digest}`)?.value;
  if (value?.case !== 'composition') return undefined;
  const composition: registryV1.Composition = value.value;
  const version = view.version(composition.expert, composition.version);
  if (!version) return undefined;
  return {
    expert: composition.expert,
    version: composition.version,
    manifestDigest: version.manifestDigest,
    recipeDigest: digest,
    parents: composition.parents,
    metrics: composition.metrics,
    existed: true,
  };
}
