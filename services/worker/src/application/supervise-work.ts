import type { ArtifactStore } from '@thalamus/bundle';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { createLogger } from '@thalamus/telemetry';
import { createReadStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClaimedJob } from './claimed-job.js';
import type { CheckpointRole, JobWork, StartWork, WorkResult } from './job-process.port.js';
import { TrainingWatch } from './training-watch.js';

/** What supervision needs. */
export interface Supervision {
  readonly startWork: StartWork;
  readonly store: ArtifactStore;
  /** How often the work done so far is stored, in milliseconds. */
  readonly checkpointMs: number;
}

/** How long a process that is to go may take to write its checkpoint, in milliseconds. */
const LAST_CHECKPOINT_MS = 3_000;

/**
 * Runs work in its process for as long as the claim allows. What is done so far is stored now and then, and once more when
 * the worker drains, so that the next claimant goes on from there.
 * @throws the work's own error; CANCELLED when the claim ended first, after the process has been ended.
 */
export async function superviseWork(
  claim: ClaimedJob,
  work: JobWork,
  { startWork, store, checkpointMs }: Supervision,
): Promise<WorkResult> {
  let keeping: Promise<void> = Promise.resolve();
  let waiting = 0;
  let wake: () => void = () => undefined;
  const watch = watchOf(work);
  const running = startWork(work, {
    onProgress: (progress) => {
      claim.report(progress);
    },
    onTraining: (report) => watch?.report(report),
    onCheckpoint: (role) => {
      waiting += 1;
      keeping = keeping
        .then(() => keep(claim, role, work.common.checkpointFiles[role], store))
        .then((isStored) => {
          waiting -= 1;
          if (isStored) watch?.stored();
        });
      wake();
    },
  });
  running.result.catch(() => undefined);
  const timer = setInterval(() => {
    // One that takes longer to store than the interval is not overtaken by the next.
    if (waiting === 0) running.requestCheckpoint();
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
    watch?.end();
  }
}

function watchOf(work: JobWork): TrainingWatch | undefined {
  if (work.kind === 'repair') return new TrainingWatch('repair');
  return work.kind === 'train' ? new TrainingWatch(work.wanted.method) : undefined;
}

/** Whether the checkpoint was stored: one that cannot be costs time later, never the job. */
async function keep(
  claim: ClaimedJob,
  name: CheckpointRole,
  file: string,
  store: ArtifactStore,
): Promise<boolean> {
  try {
    const { digest } = await store.put(createReadStream(file));
    await claim.checkpoint({ name, digest });
    return true;
  } catch (fault) {
    createLogger('supervise-work').warn(
      { job: claim.id, code: toThalamusError(fault).code },
      'checkpoint not stored',
    );
    return false;
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
