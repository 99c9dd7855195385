import { importBundle, type ArtifactStore } from '@thalamus/bundle';
import { JOB_ARTIFACTS, repairParametersSchema } from '@thalamus/contracts';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { ClaimedJob } from './claimed-job.js';
import { dayOf, inputOf, optionalInputOf, type JobInputs } from './job-inputs.js';
import type { DataFile } from './job-process.port.js';
import type { Registry } from './registry.port.js';
import { superviseWork, type Supervision } from './supervise-work.js';
import type { JobOutcome } from './work-loop.js';

/**
 * Repairs a version: a bundle, and the answers of the old and the repaired version on the rows that judge. It registers nothing: whoever
 * asked for it does, and gives it another number when the one in the bundle is taken by then.
 */
export class RunRepair {
  constructor(
    private readonly inputs: JobInputs,
    private readonly store: ArtifactStore,
    private readonly registry: Registry,
    private readonly supervision: Supervision,
    private readonly threads: number,
  ) {}

  async run(claim: ClaimedJob): Promise<JobOutcome> {
    return this.inputs.inFolder(claim.job, claim.token, (folder) => this.repair(claim, folder));
  }

  private async repair(claim: ClaimedJob, folder: string): Promise<JobOutcome> {
    const { job } = claim;
    const wanted = repairParametersSchema.parse(job.parameters);
    const { from, to, dataset, testDataset, method, seed } = wanted;
    claim.report({ stage: 'fetching', done: 0, total: 0, etaMs: 0 });
    const expert = nameOf(to);
    const facts = await this.registry.dataset(dataset);
    const version = await this.registry.nextVersion(expert);
    const file = async (role: string, label: string): Promise<DataFile> => ({
      path: await this.inputs.file(inputOf(job, role), join(folder, role)),
      name: nameOf(label),
      label,
    });
    const bundleOf = async (role: string) => {
      const digest = optionalInputOf(job, role);
      return digest && (await this.inputs.bundle(digest));
    };
    const bundleFolder = join(folder, 'bundle');
    const predictionFiles = {
      old: join(folder, 'old-predictions.jsonl'),
      repaired: join(folder, 'predictions.jsonl'),
    };
    const { labels, rows, evaluation, judged } = await superviseWork(
      claim,
      {
        kind: 'repair',
        data: await file(JOB_ARTIFACTS.data, dataset),
        test: testDataset === undefined ? undefined : await file(JOB_ARTIFACTS.test, testDataset),
        from: {
          expert: await this.inputs.bundle(inputOf(job, JOB_ARTIFACTS.from)),
          base: await bundleOf(JOB_ARTIFACTS.fromBase),
        },
        to: {
          expert: await this.inputs.bundle(inputOf(job, JOB_ARTIFACTS.to)),
          base: await bundleOf(JOB_ARTIFACTS.base),
        },
        ...{ bundleFolder, predictionFiles, wanted },
        facts: {
          version,
          description: wanted.description,
          // With its version: a later one of the same name is other rows.
          trainingData: { name: dataset, licence: facts.licence, origin: facts.origin || 'not stated' },
          date: dayOf(job),
        },
        common: {
          threads: this.threads,
          ignoredColumns: wanted.ignoredColumns,
          checkpointFiles: await this.inputs.checkpoints(job, folder),
        },
      },
      this.supervision,
    );
    const stored = async (path: string) =>
      (await claim.persist(() => this.store.put(createReadStream(path)))).digest;
    const { digest } = await claim.persist(() => importBundle(bundleFolder, this.store));
    return {
      outputs: [
        { name: JOB_ARTIFACTS.bundle, digest },
        { name: JOB_ARTIFACTS.oldPredictions, digest: await stored(predictionFiles.old) },
        { name: JOB_ARTIFACTS.predictions, digest: await stored(predictionFiles.repaired) },
      ],
      result: {
        expert,
        version,
        digest,
        from,
        to,
        dataset,
        method,
        seed,
        labels,
        rows,
        ...judged,
        evaluation,
      },
    };
  }
}

function nameOf(reference: string): string {
  return reference.split('@')[0] ?? reference;
}
