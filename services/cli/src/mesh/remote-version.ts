import { digestOf, encodeManifest, type Digest, type ExpertManifest } from '@thalamus/bundle';

/** A version of an expert, as far as it counts here. */
export interface KnownVersion {
  readonly version: string;
  readonly manifestDigest: string;
}

/** The version of a remote expert that stands for a shipped manifest at an address. */
export interface RemoteVersion {
  readonly version: string;
  readonly digest: Digest;
  readonly manifest: Uint8Array;
  readonly isRegistered: boolean;
}

/**
 * The version that says what the shipped manifest says, with the upstream at `baseUrl`: one that is registered already, else
 * the shipped one when its address and its number suit, else one with the next number. Versions never change: a new address
 * is a new version.
 */
export function remoteVersionAt(
  shipped: ExpertManifest,
  baseUrl: string,
  known: readonly KnownVersion[],
): RemoteVersion {
  const named = (version: string) => {
    const manifest = encodeManifest(moved(shipped, version, baseUrl));
    return { version, manifest, digest: digestOf(manifest) };
  };
  const same = known
    .map(({ version, manifestDigest }) => ({ ...named(version), manifestDigest }))
    .find(({ digest, manifestDigest }) => digest === manifestDigest);
  if (same)
    return { version: same.version, digest: same.digest, manifest: same.manifest, isRegistered: true };
  const isShipped = shipped.upstream?.baseUrl === baseUrl;
  const isFree = known.every(({ version }) => version !== shipped.version);
  const next = Math.max(Number(shipped.version), ...known.map(({ version }) => Number(version))) + 1;
  return { ...named(isShipped && isFree ? shipped.version : String(next)), isRegistered: false };
}

function moved(shipped: ExpertManifest, version: string, baseUrl: string): ExpertManifest {
  if (!shipped.upstream) return { ...shipped, version };
  return { ...shipped, version, upstream: { ...shipped.upstream, baseUrl } };
}
