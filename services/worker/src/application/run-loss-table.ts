import type { ArtifactStore } from '@thalamus/bundle';
import { expertRole, JOB_ARTIFACTS, lossTableParametersSchema } from '@thalamus/contracts';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { ClaimedJob } from './claimed-job.js';
import { inputOf, optionalInputOf, type JobInputs } from './job-inputs.js';
import { superviseWork, type Supervision } from './supervise-work.js';
import type { JobOutcome } from './work-loop.js';

/**
 * Measures what each of several versions loses on the prompts of one part of a table. The result is the file that checkpoints are of:
 * it only grows, in one order, so that it is the same to the bit however often the job was begun anew.
 */
export class RunLossTable {
  constructor(
    private readonly inputs: JobInputs,
    private readonly store: ArtifactStore,
    private readonly supervision: Supervision,
    private readonly threads: number,
  ) {}

  async run(claim: ClaimedJob): Promise<JobOutcome> {
    return this.inputs.inFolder(claim.job, claim.token, (folder) => this.measure(claim, folder));
  }

  private async measure(claim: ClaimedJob, folder: string): Promise<JobOutcome> {
    const { job } = claim;
    const { experts, dataset, part, parts, masks, seed } = lossTableParametersSchema.parse(job.parameters);
    claim.report({ stage: 'fetching', done: 0, total: 0, etaMs: 0 });
    const expertFolders: string[] = [];
    for (const at of experts.keys())
      expertFolders.push(await this.inputs.bundle(inputOf(job, expertRole(at + 1))));
    const base = optionalInputOf(job, JOB_ARTIFACTS.base);
    const checkpointFiles = await this.inputs.checkpoints(job, folder);
    const { rows, run } = await superviseWork(
      claim,
      {
        kind: 'loss-table',
        data: {
          path: await this.inputs.file(inputOf(job, JOB_ARTIFACTS.data), join(folder, JOB_ARTIFACTS.data)),
          name: dataset,
          label: dataset,
        },
        expertFolders,
        baseFolder: base ? await this.inputs.bundle(base) : undefined,
        part: { part, parts },
        masking: { masks: masks ?? 0, seed: seed ?? 0 },
        common: { threads: this.threads, ignoredColumns: [], checkpointFiles },
      },
      this.supervision,
    );
    const { digest } = await claim.persist(() => this.store.put(createReadStream(checkpointFiles.losses)));
    return {
      outputs: [{ name: JOB_ARTIFACTS.losses, digest }],
      result: { experts, dataset, part, parts, losses: digest, run, rows },
    };
  }
}
