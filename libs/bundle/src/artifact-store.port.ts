import type { Digest } from './digest.js';

/** What a store knows of an artifact. */
export interface ArtifactFacts {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** Content-addressed store of immutable bytes. */
export interface ArtifactStore {
  /** Stores bytes and returns their digest; storing what is there already changes nothing. @throws ARTIFACT_STORE_FULL */
  put(bytes: Uint8Array): Promise<ArtifactFacts>;
  /** Bytes of a digest, checked. @throws ARTIFACT_NOT_FOUND, ARTIFACT_CORRUPT */
  get(digest: Digest): Promise<Uint8Array>;
  /** Size of what is stored under a digest, or undefined. */
  stat(digest: Digest): Promise<ArtifactFacts | undefined>;
}
