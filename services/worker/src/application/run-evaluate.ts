import type { ArtifactStore, EvaluationRow } from '@thalamus/bundle';
import { evaluateParametersSchema, JOB_ARTIFACTS } from '@thalamus/contracts';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { ClaimedJob } from './claimed-job.js';
import { dayOf, inputOf, optionalInputOf, type JobInputs } from './job-inputs.js';
import type { Registry } from './registry.port.js';
import { superviseWork, type Supervision } from './supervise-work.js';
import type { JobOutcome } from './work-loop.js';

/** Answers every row of a data set with one version, and measures the answers. */
export class RunEvaluate {
  constructor(
    private readonly inputs: JobInputs,
    private readonly store: ArtifactStore,
    private readonly registry: Registry,
    private readonly supervision: Supervision,
    private readonly threads: number,
  ) {}

  async run(claim: ClaimedJob): Promise<JobOutcome> {
    return this.inputs.inFolder(claim.job, claim.token, (folder) => this.evaluate(claim, folder));
  }

  private async evaluate(claim: ClaimedJob, folder: string): Promise<JobOutcome> {
    const { job } = claim;
    const { expert, version, dataset, ignoredColumns } = evaluateParametersSchema.parse(job.parameters);
    claim.report({ stage: 'fetching', done: 0, total: 0, etaMs: 0 });
    const facts = await this.registry.dataset(dataset);
    const base = optionalInputOf(job, JOB_ARTIFACTS.base);
    const predictionsFile = join(folder, 'predictions.jsonl');
    const { labels, rows, evaluation } = await superviseWork(
      claim,
      {
        kind: 'evaluate',
        data: {
          path: await this.inputs.file(inputOf(job, JOB_ARTIFACTS.data), join(folder, JOB_ARTIFACTS.data)),
          name: facts.name,
          label: dataset,
        },
        split: facts.split as EvaluationRow['split'],
        expertFolder: await this.inputs.bundle(inputOf(job, JOB_ARTIFACTS.expert)),
        baseFolder: base ? await this.inputs.bundle(base) : undefined,
        predictionsFile,
        date: dayOf(job),
        common: {
          threads: this.threads,
          ignoredColumns,
          checkpointFiles: await this.inputs.checkpoints(job, folder),
        },
      },
      this.supervision,
    );
    const { digest } = await claim.persist(() => this.store.put(createReadStream(predictionsFile)));
    return {
      outputs: [{ name: JOB_ARTIFACTS.predictions, digest }],
      result: { expert, version: version ?? '', dataset, predictions: digest, labels, rows, evaluation },
    };
  }
}
