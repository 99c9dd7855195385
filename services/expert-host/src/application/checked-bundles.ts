import {
  materialiseBundle,
  openBundle,
  parseDigest,
  type ArtifactStore,
  type ExpertManifest,
  type OpenedBundle,
} from '@thalamus/bundle';
import type { GraphSummary } from '@thalamus/onnx-graph';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { inspectBundleGraph } from './inspect-bundle.js';

type Bundle = OpenedBundle<ExpertManifest>;

interface Checked {
  readonly bundle: Bundle;
  readonly stamp: string;
  summary?: GraphSummary;
}

/** Versions that are known at once; a manifest takes a few kilobytes. */
const MOST = 4_096;

/**
 * Bundles of the cache folder, fetched and checked. One that this process has checked is not read through again as long as its
 * folder and every file in it are the same to the file system: inode, size, and when content and inode were last changed. So a
 * version that comes back is loaded without hashing its weights again.
 */
export class CheckedBundles {
  private readonly known = new Map<string, Checked>();

  constructor(
    private readonly store: ArtifactStore,
    private readonly cacheFolder: string,
  ) {}

  /** @throws ARTIFACT_NOT_FOUND, ARTIFACT_CORRUPT, ARTIFACT_STORE_FULL, BUNDLE_INVALID */
  async open(digest: string): Promise<Bundle> {
    const known = this.known.get(digest);
    if (known && (await stampOf(known.bundle.folder)) === known.stamp) return known.bundle;
    this.known.delete(digest);
    const folder = await materialiseBundle(parseDigest(digest), this.store, this.cacheFolder);
    // Stamped before it is read: what changes meanwhile has another stamp.
    const stamp = await stampOf(folder);
    const bundle = await openBundle(folder);
    if (stamp !== undefined) this.keep(digest, { bundle, stamp });
    return bundle;
  }

  /** The structural look at the graph of a bundle that was opened here. @throws GRAPH_INVALID, BUNDLE_INVALID */
  async summary(bundle: Bundle): Promise<GraphSummary> {
    const known = this.known.get(bundle.digest);
    if (known?.bundle !== bundle) return inspectBundleGraph(bundle);
    known.summary ??= await inspectBundleGraph(bundle);
    return known.summary;
  }

  private keep(digest: string, checked: Checked): void {
    this.known.set(digest, checked);
    const [oldest] = this.known.keys();
    if (this.known.size > MOST && oldest !== undefined) this.known.delete(oldest);
  }
}

/** What the file system says of a folder and of all in it; undefined when something goes meanwhile. */
async function stampOf(folder: string): Promise<string | undefined> {
  try {
    const names = await readdir(folder, { recursive: true });
    const paths = [folder, ...names.sort().map((name) => join(folder, name))];
    const facts = await Promise.all(paths.map((path) => lstat(path, { bigint: true })));
    return facts
      .map(({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join(':'))
      .join(' ');
  } catch {
    return undefined;
  }
}
