import type { Digest } from './digest.js';

/** Bytes to store: all at once, or a stream of chunks. */
export type ArtifactSource = Uint8Array | AsyncIterable<Uint8Array>;

/** What a store knows of one artifact. */
export interface ArtifactStat {
  /** Identity of the bytes. */
  readonly digest: Digest;
  /** Number of bytes. */
  readonly sizeBytes: number;
}

/** Answer to `put`. */
export interface PutResult extends ArtifactStat {
  /** True when the bytes were stored already. */
  readonly existed: boolean;
}

/** Claim and cancellation of a `put`. */
export interface PutOptions {
  /** What the bytes must hash to; ARTIFACT_CORRUPT, and nothing kept, when they do not. */
  readonly digest?: Digest;
  /** Stops the transfer. */
  readonly signal?: AbortSignal;
}

/** Where to start reading, and cancellation. */
export interface GetOptions {
  /** First byte wanted, at most the size; 0 when absent. REQUEST_INVALID for another. */
  readonly offsetBytes?: number;
  /** Stops the transfer. */
  readonly signal?: AbortSignal;
}

/**
 * Content-addressed store of immutable bytes. Adapters: a local folder (`FolderArtifactStore`), the updater's
 * `thalamus.artifact.v1`, an object store.
 */
export interface ArtifactStore {
  /** Stores bytes. ARTIFACT_CORRUPT on a false claim, ARTIFACT_STORE_FULL when there is no space. Idempotent. */
  put(source: ArtifactSource, options?: PutOptions): Promise<PutResult>;
  /**
   * Streams the bytes of a digest. Throws ARTIFACT_NOT_FOUND at the first read. The digest is checked while reading:
   * ARTIFACT_CORRUPT is thrown before the stream ends, so use nothing until the loop has finished.
   */
  get(digest: Digest, options?: GetOptions): AsyncIterable<Uint8Array>;
  /** Size of a stored artifact; undefined when it is not stored. */
  stat(digest: Digest): Promise<ArtifactStat | undefined>;
}
