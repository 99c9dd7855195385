import { JOB_ARTIFACTS } from '@thalamus/contracts';
import type { ArtifactStore } from '@thalamus/bundle';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { createLogger } from '@thalamus/telemetry';
import { createReadStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClaimedJob } from './claimed-job.js';
import type { JobWork, StartWork, WorkResult } from './job-process.port.js';

/** What supervision needs. */
export interface Supervision {
  readonly startWork: StartWork;
  readonly store: ArtifactStore;
  /** How often the embeddings done so far are stored, in milliseconds. */
  readonly checkpointMs: number;
}

/** How long a process that is to go may take to write its checkpoint, in milliseconds. */
const LAST_CHECKPOINT_MS = 3_000;

/**
 * Runs work in its process for as long as the claim allows. Embeddings are stored now and then, and once more when the
 * worker drains, so that the next claimant goes on from there.
 * @throws the work's own error; CANCELLED when the claim ended first, after the process has been ended.
 */
export async function superviseWork(
  claim: ClaimedJob,
  work: JobWork,
  { startWork, store, checkpointMs }: Supervision,
): Promise<WorkResult> {
  let keeping: Promise<void> = Promise.resolve();
  let wake: () => void = () => undefined;
  const running = startWork(work, {
    onProgress: (progress) => {
      claim.report(progress);
    },
    onCheckpoint: () => {
      keeping = keeping.then(() => keep(claim, work, store));
      wake();
    },
  });
  running.result.catch(() => undefined);
  const timer = setInterval(() => {
    running.requestCheckpoint();
  }, checkpointMs);
  try {
    const stopped = await Promise.race([running.result, whenAborted(claim.signal)]);
    if (stopped !== 'stopped') return stopped;
    if (claim.stopReason === 'draining') {
      const written = new Promise<void>((resolve) => {
        wake = resolve;
      });
      running.requestCheckpoint();
      const settled = running.result.then(
        () => undefined,
        () => undefined,
      );
      await Promise.race([written, settled, sleep(LAST_CHECKPOINT_MS)]);
    }
    throw new ThalamusError('CANCELLED', `The work on job ${claim.id} was ended: ${claim.stopReason ?? ''}.`);
  } finally {
    clearInterval(timer);
    running.kill();
    await keeping;
  }
}

/** A checkpoint that cannot be stored costs time later, never the job. */
async function keep(claim: ClaimedJob, work: JobWork, store: ArtifactStore): Promise<void> {
  try {
    const { digest } = await store.put(createReadStream(work.common.featuresFile));
    await claim.checkpoint({ name: JOB_ARTIFACTS.features, digest });
  } catch (fault) {
    createLogger('supervise-work').warn(
      { job: claim.id, code: toThalamusError(fault).code },
      'checkpoint not stored',
    );
  }
}

function whenAborted(signal: AbortSignal): Promise<'stopped'> {
  return new Promise((resolve) => {
    const stop = () => {
      resolve('stopped');
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
