import { parseDigest, readArtifact, type ArtifactStore } from '@thalamus/bundle';
import type { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CompositionTask, DataFile, TaskParent } from '@thalamus/composition';
import type { BundleCache } from './bundle-cache.js';
import type { CompositionPlan } from './plan-composition.js';

/** Largest file of labelled rows, bytes. */
const MAX_DATA_BYTES = 256 * 2 ** 20;

/** Brings what a plan needs onto this machine: bundles into a cache, labelled rows into a folder. Every digest is checked. */
export class FetchParts {
  constructor(
    private readonly store: ArtifactStore,
    private readonly bundles: BundleCache,
  ) {}

  /** `onStep` is told how many files and bundles are here; what it throws ends the fetching. */
  async run(
    plan: CompositionPlan,
    folder: string,
    onStep: (done: number, total: number) => void,
  ): Promise<Pick<CompositionTask, 'base' | 'parents'>> {
    const { base } = plan;
    if (!base) throw new ThalamusError('INTERNAL', 'A plan without a base passed its preflight.');
    const total = 1 + plan.parents.reduce((sum, { train, test }) => sum + 1 + train.length + test.length, 0);
    let done = 0;
    onStep(done, total);
    await this.bundles.prune();
    const step = async <T>(work: Promise<T>): Promise<T> => {
      const result = await work;
      onStep(++done, total);
      return result;
    };
    const bundle = (digest: string) => step(this.bundles.open(digest));
    const files = async (datasets: readonly registryV1.Dataset[]) => {
      const fetched: DataFile[] = [];
      for (const dataset of datasets) fetched.push(await step(this.rows(dataset, folder)));
      return fetched;
    };
    const baseFolder = await bundle(base.digest);
    const parents: TaskParent[] = [];
    for (const { name, version, digest, train, test } of plan.parents)
      parents.push({
        name,
        version,
        digest: parseDigest(digest),
        folder: await bundle(digest),
        train: await files(train),
        test: await files(test),
      });
    return { base: { digest: base.digest, folder: baseFolder }, parents };
  }

  private async rows(
    { name, version, digest, licence, origin }: registryV1.Dataset,
    folder: string,
  ): Promise<DataFile> {
    const bytes = await readArtifact(this.store, parseDigest(digest), MAX_DATA_BYTES);
    const dataset = `${name}@${version}`;
    const path = join(folder, `${dataset}.rows`);
    await writeFile(path, bytes);
    return { dataset, path, licence, origin };
  }
}
