import { jobV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { EXIT } from '../exit-codes.js';
import { InterruptCounter } from '../interrupt-counter.js';
import { onInterrupt } from '../interruption.js';
import { RunView } from '../training/run-view.js';
import { succeeded } from './follow-job.js';
import { watchJob, type JobClient } from './job-client.js';

const { JobState } = jobV1;

/** Jobs that measure the parts of one table. */
export interface TableJobs {
  readonly jobs: readonly jobV1.Job[];
  /** Prompts times experts of the whole table. */
  readonly total: number;
  readonly json: boolean;
}

/** Prompts times experts that a job has measured so far. */
export function measuredBy({ state, progress, result, parameters }: jobV1.Job): number {
  if (state !== JobState.SUCCEEDED) return progress?.stage === 'measuring' ? Number(progress.done) : 0;
  const { measured = 0 } = (result?.['rows'] ?? {}) as { readonly measured?: number };
  const experts = parameters?.['experts'];
  return measured * (Array.isArray(experts) ? experts.length : 0);
}

/**
 * Shows the jobs of a table to their end, as one bar. Ctrl-C leaves them to themselves, since what they have measured is not lost:
 * resolves with undefined then (exit code 130).
 * @throws the error of a job that failed; the others go on
 */
export async function followTable(
  client: JobClient,
  { jobs, total, json }: TableJobs,
): Promise<jobV1.Job[] | undefined> {
  const view = new RunView(json, undefined);
  const leaving = new AbortController();
  const interrupts = new InterruptCounter(() => performance.now());
  const giveBack = onInterrupt(() => {
    if (interrupts.press() === 'first') leaving.abort();
  });
  const done = new Map<string, number>(jobs.map((job) => [job.id, measuredBy(job)]));
  const show = (job: jobV1.Job) => {
    done.set(job.id, measuredBy(job));
    const sum = [...done.values()].reduce((one, other) => one + other, 0);
    if (!leaving.signal.aborted) view.progress({ stage: 'measuring', done: sum, total });
  };
  try {
    return await Promise.all(
      jobs.map(async ({ id }) => wellEnded(await watchJob(client, id, show, leaving.signal))),
    );
  } catch (fault) {
    if (!interrupts.isPressed) throw fault;
    view.end();
    process.stderr.write(
      `Interrupted; the ${jobs.length} jobs of the table go on ("thalamus jobs list --kind loss-table"; "thalamus jobs cancel ID" ends one). Run the same command again to follow them: it writes the table when all are done.\n`,
    );
    process.exitCode = EXIT.interrupted;
    return undefined;
  } finally {
    leaving.abort();
    view.end();
    giveBack();
  }
}

/** @throws the error of the job, with what is to do */
function wellEnded(job: jobV1.Job): jobV1.Job {
  try {
    return succeeded(job);
  } catch (fault) {
    if (!ThalamusError.is(fault)) throw fault;
    throw new ThalamusError(
      fault.code,
      `${fault.message} The other jobs of the table go on; the same command keeps what they measure, and begins this part (job ${job.id}) anew.`,
      { cause: fault },
    );
  }
}
