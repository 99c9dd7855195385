import { jobV1 } from '@thalamus/contracts';
import { jobId, present, watchJob, withJobs } from '../jobs/job-client.js';
import { duration, jobJson, standingOf, stateName, subjectOf } from '../jobs/job-lines.js';
import { progressView } from '../jobs/job-progress.js';
import { succeeded } from '../jobs/follow-job.js';
import { outputOf, type CommonOptions } from '../mesh-command.js';
import type { JobStateName } from '../commands/jobs.js';
import { table } from '../output.js';

/** Options of `jobs list`. */
export interface ListOptions extends CommonOptions {
  readonly kind?: string;
  readonly state?: JobStateName;
  readonly limit: number;
}

/** Prints jobs, newest first. */
export async function list(options: ListOptions): Promise<void> {
  const request = { kind: options.kind ?? '', state: stateOf(options.state), pageSize: options.limit };
  const { jobs } = await withJobs(options, (client) => client.list(request));
  outputOf(options).answer(jobs.map(jobJson), () =>
    jobs.length === 0
      ? ['No jobs.']
      : table([
          ['job', 'kind', 'state', 'work', 'standing'],
          ...jobs.map((job) => [
            job.id,
            job.kind,
            stateName(job.state),
            subjectOf(job),
            standingOf(job) || job.errorCode,
          ]),
        ]),
  );
}

/** Prints one job. @throws JOB_NOT_FOUND */
export async function show(prefix: string, options: CommonOptions): Promise<void> {
  const job = await withJobs(options, async (client) =>
    present((await client.get({ id: await jobId(client, prefix) })).job),
  );
  outputOf(options).answer(jobJson(job), () => lines(job));
}

/** Follows a job to its end. Ctrl-C ends the watching, not the job: it may be somebody else's. @throws its error */
export async function watch(prefix: string, options: CommonOptions): Promise<void> {
  const job = await withJobs(options, async (client) => {
    const id = await jobId(client, prefix);
    const view = progressView(options.json);
    try {
      return await watchJob(
        client,
        id,
        (now) => {
          view.show(now);
        },
        new AbortController().signal,
      );
    } finally {
      view.end();
    }
  });
  outputOf(options).answer(jobJson(succeeded(job)), () => lines(job));
}

/** Ends a job. @throws JOB_NOT_FOUND */
export async function cancel(prefix: string, options: CommonOptions): Promise<void> {
  const job = await withJobs(options, async (client) =>
    present((await client.cancel({ id: await jobId(client, prefix) })).job),
  );
  outputOf(options).answer(jobJson(job), () => [
    job.state === jobV1.JobState.RUNNING
      ? `Job ${job.id} ends at its next sign of life.`
      : `Job ${job.id} is ${stateName(job.state)}.`,
  ]);
}

function lines(job: jobV1.Job): string[] {
  const eta = job.progress && job.progress.etaMs > 0n ? `, ${duration(Number(job.progress.etaMs))} left` : '';
  const standing = standingOf(job);
  return [
    `${job.id}   ${job.kind}, ${stateName(job.state)}${standing === '' ? '' : `: ${standing}${eta}`}`,
    `  ${subjectOf(job)}`,
    `  attempt ${job.attempt}${job.worker === '' ? '' : `, by ${job.worker}`}`,
    ...job.outputs.map(({ name, digest }) => `  ${name} ${digest}`),
    ...(job.errorCode === '' ? [] : [`  ${job.errorCode}: ${job.errorMessage}`]),
    ...(job.result ? [`  ${JSON.stringify(job.result)}`] : []),
  ];
}

function stateOf(name: JobStateName | undefined): jobV1.JobState {
  return name === undefined
    ? jobV1.JobState.UNSPECIFIED
    : jobV1.JobState[name.toUpperCase() as Uppercase<JobStateName>];
}
