import type { MessageInitShape } from '@bufbuild/protobuf';
import type { registryV1 } from '@thalamus/contracts';

/** The registry, as the one that writes it sees it: what was just written is read. */
export interface Registry {
  expert(name: string): Promise<registryV1.Expert | undefined>;
  version(expert: string, version: string): Promise<registryV1.ExpertVersion | undefined>;
  versions(expert: string): Promise<readonly registryV1.ExpertVersion[]>;
  /** A data set by name@version, or the latest version of a name. */
  dataset(reference: string): Promise<registryV1.Dataset | undefined>;
  composition(recipeDigest: string): Promise<registryV1.Composition | undefined>;
  /** Idempotent; given no end, an expert that has one stays for ever. @throws REVISION_CONFLICT when the version is registered with other content */
  registerVersion(
    request: MessageInitShape<typeof registryV1.RegisterVersionRequestSchema>,
    signal: AbortSignal,
  ): Promise<void>;
  /** Idempotent. */
  registerComposition(
    composition: MessageInitShape<typeof registryV1.CompositionSchema>,
    signal: AbortSignal,
  ): Promise<void>;
}
