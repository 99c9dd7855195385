import { jobV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { Command } from 'commander';
import { jobId, present, watchJob, withJobs } from '../jobs/job-client.js';
import { duration, jobJson, standingOf, stateName, subjectOf } from '../jobs/job-lines.js';
import { progressView } from '../jobs/job-progress.js';
import { succeeded } from '../jobs/follow-job.js';
import { meshCommand, outputOf, wholeNumber, type CommonOptions } from '../mesh-command.js';
import { table } from '../output.js';

interface ListOptions extends CommonOptions {
  readonly kind?: string;
  readonly state?: string;
  readonly limit: number;
}

/** `thalamus jobs list|show|watch|cancel`. */
export function jobsCommand(): Command {
  const command = new Command('jobs').description('long work: see it, follow it, cancel it');
  command.addCommand(
    meshCommand('list', 'list jobs, newest first')
      .option('--kind <kind>', 'only this kind: train, evaluate')
      .option('--state <state>', 'only this state: queued, running, succeeded, failed, cancelled')
      .option('--limit <count>', 'at most so many', wholeNumber(1, 1_000), 20)
      .action(list),
  );
  command.addCommand(withId('show', 'show a job').action(show));
  command.addCommand(withId('watch', 'follow a job to its end; Ctrl-C leaves it to itself').action(watch));
  command.addCommand(
    withId('cancel', 'end a job; a running one ends at its next sign of life').action(cancel),
  );
  return command;
}

function withId(name: string, description: string): Command {
  return meshCommand(name, description).argument('<job>', 'id, or how it begins');
}

async function list(options: ListOptions): Promise<void> {
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

async function show(prefix: string, options: CommonOptions): Promise<void> {
  const job = await withJobs(options, async (client) =>
    present((await client.get({ id: await jobId(client, prefix) })).job),
  );
  outputOf(options).answer(jobJson(job), () => lines(job));
}

/** Ctrl-C ends the watching, not the job: it may be somebody else's. */
async function watch(prefix: string, options: CommonOptions): Promise<void> {
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

async function cancel(prefix: string, options: CommonOptions): Promise<void> {
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

function stateOf(text: string | undefined): jobV1.JobState {
  if (text === undefined) return jobV1.JobState.UNSPECIFIED;
  const state = jobV1.JobState[text.toUpperCase() as keyof typeof jobV1.JobState] as
    jobV1.JobState | undefined;
  if (state !== undefined && state !== jobV1.JobState.UNSPECIFIED) return state;
  throw new ThalamusError(
    'CONFIG_INVALID',
    `--state is "${text}"; it is queued, running, succeeded, failed or cancelled.`,
  );
}
