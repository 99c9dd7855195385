import { digestHex, materialiseBundle, parseDigest, type ArtifactStore } from '@thalamus/bundle';
import { lstat, readdir, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';

/** A bundle that nothing has asked for so long is removed, milliseconds: no composition takes a week. */
const UNUSED_MS = 7 * 86_400_000;
/** Folder of a bundle: the digest of its manifest. */
const BUNDLE = /^[0-9a-f]{64}$/;

/** Bundles of parents and bases on this machine, each whole and verified; those that are no longer asked for go. */
export class BundleCache {
  constructor(
    private readonly store: ArtifactStore,
    private readonly folder: string,
    private readonly now: () => number = Date.now,
  ) {}

  /** The folder of a bundle, which is fetched unless it is here. @throws as `materialiseBundle` */
  async open(digest: string): Promise<string> {
    const wanted = parseDigest(digest);
    const at = new Date(this.now());
    // Before it is looked at, so that it is not removed meanwhile; one that is not here yet will be new.
    await utimes(join(this.folder, digestHex(wanted)), at, at).catch(() => undefined);
    return materialiseBundle(wanted, this.store, this.folder);
  }

  /** Removes what has not been opened for a week. */
  async prune(): Promise<void> {
    const names = await readdir(this.folder).catch((): string[] => []);
    for (const name of names.filter((each) => BUNDLE.test(each))) {
      const path = join(this.folder, name);
      const facts = await lstat(path).catch(() => undefined);
      if (facts && this.now() - facts.mtimeMs > UNUSED_MS) await rm(path, { recursive: true, force: true });
    }
  }
}
