import { jobV1 } from '@thalamus/contracts';
import { ThalamusError, isErrorCode } from '@thalamus/errors';
import { EXIT } from '../exit-codes.js';
import { InterruptCounter } from '../interrupt-counter.js';
import { onInterrupt } from '../interruption.js';
import { watchJob, type JobClient } from './job-client.js';
import { progressView } from './job-progress.js';

const { JobState } = jobV1;

/**
 * Shows a job to its end. The first Ctrl-C cancels it and waits for that end; the second leaves it to itself.
 * Resolves with the job when it succeeded, with undefined when Ctrl-C cancelled it (exit code 130).
 * @throws the error of a job that failed; CANCELLED for one that somebody else cancelled.
 */
export async function followJob(jobs: JobClient, id: string, json: boolean): Promise<jobV1.Job | undefined> {
  const view = progressView(json);
  const leaving = new AbortController();
  const interrupts = new InterruptCounter(() => performance.now());
  const giveBack = onInterrupt(() => {
    const press = interrupts.press();
    if (press === 'echo') return;
    view.end();
    if (press === 'again') {
      process.stderr.write(`Left to itself: "thalamus jobs show ${id}" tells how it ends.\n`);
      leaving.abort();
      process.exit(EXIT.interrupted);
    }
    process.stderr.write('\nCancelling the job; Ctrl-C once more leaves it to itself.\n');
    jobs.cancel({ id }).catch((fault: unknown) => {
      process.stderr.write(`It could not be cancelled: ${fault instanceof Error ? fault.message : ''}\n`);
    });
  });
  try {
    const job = await watchJob(
      jobs,
      id,
      (now) => {
        if (!interrupts.isPressed) view.show(now);
      },
      leaving.signal,
    );
    if (job.state === JobState.CANCELLED && interrupts.isPressed) {
      process.stderr.write('The job is cancelled.\n');
      process.exitCode = EXIT.interrupted;
      return undefined;
    }
    return succeeded(job);
  } finally {
    view.end();
    giveBack();
  }
}

/** The job when it went well. @throws its error */
export function succeeded(job: jobV1.Job): jobV1.Job {
  if (job.state === JobState.SUCCEEDED) return job;
  if (job.state === JobState.CANCELLED) throw new ThalamusError('CANCELLED', `Job ${job.id} was cancelled.`);
  throw new ThalamusError(isErrorCode(job.errorCode) ? job.errorCode : 'INTERNAL', job.errorMessage);
}
