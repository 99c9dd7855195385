import {
  encodeManifest,
  importBundle,
  MAX_MANIFEST_BYTES,
  parseDigest,
  parseExpertManifest,
  readArtifact,
  type ArtifactStore,
  type Digest,
  type ExpertManifest,
} from '@thalamus/bundle';
import { JOB_ARTIFACTS, trainParametersSchema, type TrainParameters } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { join } from 'node:path';
import type { ClaimedJob } from './claimed-job.js';
import { dayOf, inputOf, optionalInputOf, type JobInputs } from './job-inputs.js';
import type { DataFile } from './job-process.port.js';
import type { Registry } from './registry.port.js';
import { superviseWork, type Supervision } from './supervise-work.js';
import type { JobOutcome } from './work-loop.js';

/** Versions that are tried when others take the number first. */
const MAX_RENUMBERINGS = 20;

/**
 * Trains an expert and registers it once. The bundle's digest is stored as the job's checkpoint, under the fencing
 * token, before it is registered: from then on every attempt registers that bundle and no other.
 */
export class RunTrain {
  constructor(
    private readonly inputs: JobInputs,
    private readonly store: ArtifactStore,
    private readonly registry: Registry,
    private readonly supervision: Supervision,
    private readonly threads: number,
  ) {}

  async run(claim: ClaimedJob): Promise<JobOutcome> {
    const { job } = claim;
    const parameters = trainParametersSchema.parse(job.parameters);
    const made =
      job.checkpoint?.name === JOB_ARTIFACTS.bundle
        ? parseDigest(job.checkpoint.digest)
        : await this.inputs.inFolder(job, claim.token, (folder) => this.make(claim, parameters, folder));
    claim.report({ stage: 'registering', done: 0, total: 1, etaMs: 0 });
    const { digest, manifest } = await this.register(claim, made);
    await claim.persist(() => this.pointChannel(claim, parameters, manifest));
    return {
      outputs: [{ name: JOB_ARTIFACTS.bundle, digest }],
      result: {
        expert: manifest.name,
        version: manifest.version,
        digest,
        kind: manifest.kind,
        recipe: manifest.lineage?.recipe ?? '',
        labels: manifest.labels?.length ?? 0,
        trainingRows: manifest.trainingData.reduce((sum, { rows }) => sum + rows, 0),
        evaluation: manifest.evaluation,
      },
    };
  }

  /** Trains, stores the bundle, and fixes it as the one that this job registers. */
  private async make(claim: ClaimedJob, parameters: TrainParameters, folder: string): Promise<Digest> {
    const { job } = claim;
    claim.report({ stage: 'fetching', done: 0, total: 0, etaMs: 0 });
    const { expert, dataset, testDataset, ignoredColumns } = parameters;
    const [facts, known, version, baseFolder] = await Promise.all([
      this.registry.dataset(dataset),
      this.registry.expert(expert),
      this.registry.nextVersion(expert),
      this.inputs.bundle(inputOf(job, JOB_ARTIFACTS.base)),
    ]);
    const file = async (role: string, digest: Digest, label: string): Promise<DataFile> => ({
      path: await this.inputs.file(digest, join(folder, role)),
      name: nameOf(label),
      label,
    });
    const test = optionalInputOf(job, JOB_ARTIFACTS.test);
    const bundleFolder = join(folder, 'bundle');
    const licence = parameters.licence ?? facts.licence;
    const start = optionalInputOf(job, JOB_ARTIFACTS.start);
    const purpose = parameters.task === 'fill-mask' ? 'Fills masked words of' : 'Classifies text by';
    await superviseWork(
      claim,
      {
        kind: 'train',
        data: await file(JOB_ARTIFACTS.data, inputOf(job, JOB_ARTIFACTS.data), dataset),
        test: test && testDataset ? await file(JOB_ARTIFACTS.test, test, testDataset) : undefined,
        baseFolder,
        startFolder: start && (await this.inputs.bundle(start)),
        bundleFolder,
        facts: {
          name: expert,
          version,
          description: parameters.description ?? (known?.description || `${purpose} ${facts.name}.`),
          licence,
          trainingData: {
            // With its version: a later one of the same name is other rows.
            name: dataset,
            licence: facts.licence,
            origin: facts.origin || 'not stated',
          },
          date: dayOf(job),
        },
        wanted: parameters,
        common: {
          threads: this.threads,
          ignoredColumns,
          checkpointFiles: await this.inputs.checkpoints(job, folder),
        },
      },
      this.supervision,
    );
    return claim.persist(async () => {
      const { digest } = await importBundle(bundleFolder, this.store);
      await claim.checkpoint({ name: JOB_ARTIFACTS.bundle, digest });
      return digest;
    });
  }

  /** Registers the bundle; when another job has taken its version meanwhile, under the next one. */
  private async register(
    claim: ClaimedJob,
    made: Digest,
  ): Promise<{ digest: Digest; manifest: ExpertManifest }> {
    let digest = made;
    for (let renumbering = 0; ; renumbering++) {
      const manifest = parseExpertManifest(
        await readArtifact(this.store, digest, MAX_MANIFEST_BYTES),
        digest,
      );
      try {
        // The same bundle once more changes nothing.
        const registered = digest;
        await claim.persist(() => this.registry.register(manifest.name, manifest.version, registered));
        return { digest, manifest };
      } catch (fault) {
        const isTaken = ThalamusError.is(fault) && fault.code === 'REVISION_CONFLICT';
        if (!isTaken || renumbering >= MAX_RENUMBERINGS) throw fault;
      }
      const version = await this.registry.nextVersion(manifest.name);
      const stored = await this.store.put(encodeManifest({ ...manifest, version }));
      digest = stored.digest;
      // Under the token again: only the present holder may choose another bundle.
      await claim.checkpoint({ name: JOB_ARTIFACTS.bundle, digest });
    }
  }

  private async pointChannel(
    claim: ClaimedJob,
    { channel }: TrainParameters,
    { name, version }: ExpertManifest,
  ): Promise<void> {
    if (channel === 'none') return;
    const expert = await this.registry.expert(name);
    // The first version of an expert is stable already.
    if (expert?.stable === version) return;
    await claim.confirm();
    await this.registry.setChannel(name, channel, version, `job ${claim.id}`);
  }
}

function nameOf(reference: string): string {
  return reference.split('@')[0] ?? reference;
}
