import { digestOf, type Digest } from '@thalamus/bundle';
import { JOB_KINDS, jobV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { MeasuredTask } from '@thalamus/training';
import { submitJob, type JobClient } from './job-client.js';

const { JobState } = jobV1;
/** More jobs than the table remembers. */
const MOST_ENDED = 1_000;

/** A table that is measured by jobs. */
export interface WantedTable {
  /** Digest of what decides its figures. */
  readonly run: Digest;
  readonly task: MeasuredTask;
  /** name@version of each. */
  readonly experts: readonly string[];
  /** Registered prompts, name@version. */
  readonly dataset: string;
  readonly base: string | undefined;
  readonly parts: number;
  readonly masks: number;
  readonly seed: number;
}

/**
 * A job for each part, in their order. Those that an earlier command began for the same figures are found again, whether they wait, run
 * or have ended well; one that failed, was cancelled, or measured otherwise than this version does is begun anew.
 * @throws REQUEST_INVALID, EXPERT_NOT_FOUND, RATE_LIMITED
 */
export async function submitTable(client: JobClient, wanted: WantedTable): Promise<jobV1.Job[]> {
  const jobs: jobV1.Job[] = [];
  for (let part = 1; part <= wanted.parts; part++) jobs.push(await submitPart(client, wanted, part));
  return jobs;
}

async function submitPart(client: JobClient, wanted: WantedTable, part: number): Promise<jobV1.Job> {
  const { run, task, dataset, experts, base, parts, masks, seed } = wanted;
  const parameters = {
    experts: [...experts],
    dataset,
    parts,
    part,
    ...(base === undefined ? {} : { base }),
    ...(task === 'fill-mask' ? { masks, seed } : {}),
  };
  for (let attempt = 0; attempt <= MOST_ENDED; attempt++) {
    const job = await submitJob(client, {
      kind: JOB_KINDS.lossTable,
      parameters,
      idempotencyKey: `${JOB_KINDS.lossTable}-${digestOf(JSON.stringify([run, base, parts, part, attempt]))}`,
    });
    if (isOfUse(job, run)) return job;
  }
  throw new ThalamusError(
    'RATE_LIMITED',
    `Part ${part} of the table has failed ${MOST_ENDED} times; "thalamus jobs list --kind ${JOB_KINDS.lossTable}" says why.`,
  );
}

function isOfUse({ state, result }: jobV1.Job, run: Digest): boolean {
  if (state === JobState.SUCCEEDED) return result?.['run'] === run;
  return state !== JobState.FAILED && state !== JobState.CANCELLED;
}
