/** What the bytes of a remote file must hash to. */
export type RemoteDigest =
  | { readonly kind: 'sha256'; readonly hex: string }
  /** Git's id of a blob: SHA-1 of `blob <size>`, a zero byte, and the bytes. */
  | { readonly kind: 'git-blob'; readonly hex: string };

/** A file of a remote folder. */
export interface RemoteFile {
  /** Path below the folder, with slashes. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Changes when the file does: what was fetched of another version is not gone on with. */
  readonly version: string;
  /** Absent where the store tells none. */
  readonly digest?: RemoteDigest | undefined;
}

/** A request for bytes: where, and with which headers. */
export interface SourceRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
}

/** A folder of a store that is reached over HTTP. */
export interface ModelSource {
  /** As people wrote it, such as `s3://models/mini`; in messages. */
  readonly name: string;
  /** What to do about 401 and 403. */
  readonly credentialsHint: string;
  /** Every file of the folder. @throws RESOURCE_NOT_FOUND, PERMISSION_DENIED, UPSTREAM_UNAVAILABLE, UPSTREAM_ERROR */
  list(): Promise<readonly RemoteFile[]>;
  /** The request for a file from a byte on. */
  requestFor(file: RemoteFile, fromByte: number): SourceRequest;
}
