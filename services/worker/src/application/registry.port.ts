import type { Digest } from '@thalamus/bundle';
import type { registryV1 } from '@thalamus/contracts';

/** The registry, as a worker needs it. */
export interface Registry {
  /** The data set name@version. @throws RESOURCE_NOT_FOUND */
  dataset(reference: string): Promise<registryV1.Dataset>;
  /** The expert; undefined when it is not known. */
  expert(name: string): Promise<registryV1.Expert | undefined>;
  /** The least version that is larger than all that are registered. */
  nextVersion(expert: string): Promise<string>;
  /** Registers a stored bundle. The same twice is no error. @throws REVISION_CONFLICT when the version is taken. */
  register(expert: string, version: string, digest: Digest): Promise<void>;
  /** Points a channel at a version. */
  setChannel(expert: string, channel: 'candidate' | 'stable', version: string, reason: string): Promise<void>;
}
