import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { jobV1 } from '@thalamus/contracts';
import { ERROR_CODES, isErrorCode, ThalamusError } from '@thalamus/errors';

const { JobState } = jobV1;

/** A job with what only the table knows. */
export interface JobEntry {
  readonly job: jobV1.Job;
  /** Fencing token of the last claim; 0 before the first. */
  readonly token: bigint;
  /** Claims after which a job that did not end well fails for good. */
  readonly maxAttempts: number;
  readonly idempotencyKey: string;
  /** Unix time in milliseconds before which nobody may claim it: the pause after a failed attempt. */
  readonly notBeforeMs: number;
}

/** Lease of a claim that names none, in milliseconds. */
export const DEFAULT_LEASE_MS = 15_000;
const MIN_LEASE_MS = 500;
const MAX_LEASE_MS = 600_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

/** States in which nothing happens to a job any more. */
export const FINAL_STATES: readonly jobV1.JobState[] = [
  JobState.SUCCEEDED,
  JobState.FAILED,
  JobState.CANCELLED,
];

/** Whether a job has come to its end. */
export function isFinal(job: jobV1.Job): boolean {
  return FINAL_STATES.includes(job.state);
}

/** When a lease wanted from `nowMs` on lapses; wishes are held between 0.5 s and 10 min. */
export function leaseUntil(wantedMs: number, nowMs: number) {
  const grantedMs = Math.min(Math.max(wantedMs || DEFAULT_LEASE_MS, MIN_LEASE_MS), MAX_LEASE_MS);
  return timestampFromMs(nowMs + grantedMs);
}

/** The entry when its claim is still `token`. @throws JOB_CONFLICT for a worker that lost its lease. */
export function heldBy(entry: JobEntry, token: bigint): JobEntry {
  if (entry.job.state === JobState.RUNNING && entry.token === token) return entry;
  throw new ThalamusError(
    'JOB_CONFLICT',
    `The claim ${token} of job ${entry.job.id} is no longer valid (state ${JobState[entry.job.state]}, token ${entry.token}); drop the result.`,
    { metadata: { job: entry.job.id, token: String(token), current: String(entry.token) } },
  );
}

/** The job taken by a worker, with the next token. */
export function claimed(entry: JobEntry, worker: string, leaseMs: number, nowMs: number): JobEntry {
  const { job } = entry;
  return {
    ...entry,
    token: entry.token + 1n,
    notBeforeMs: 0,
    job: {
      ...job,
      state: JobState.RUNNING,
      worker,
      attempt: job.attempt + 1,
      leaseExpiresAt: leaseUntil(leaseMs, nowMs),
      errorCode: '',
      errorMessage: '',
    },
  };
}

/** The claim given back: the job waits again, and the claim does not count as an attempt. */
export function givenBack(entry: JobEntry): JobEntry {
  const { job } = entry;
  if (job.cancelRequested) return ended(entry, JobState.CANCELLED);
  return requeued({ ...entry, job: { ...job, attempt: Math.max(0, job.attempt - 1) } }, 0);
}

/**
 * The job after its worker ended it. A failure whose code may pass by itself is tried again, after a pause that doubles,
 * until the attempts are used up; every other failure is final at once.
 */
export function finished(entry: JobEntry, request: jobV1.FinishRequest, nowMs: number): JobEntry {
  const { job } = entry;
  if (request.state === JobState.QUEUED) return givenBack(entry);
  if (request.state === JobState.FAILED) {
    const { errorCode, errorMessage } = request;
    const failed = { ...entry, job: { ...job, errorCode, errorMessage } };
    if (!job.cancelRequested && mayPass(errorCode) && job.attempt < entry.maxAttempts) {
      const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (job.attempt - 1));
      return requeued(failed, nowMs + pauseMs);
    }
    return ended(failed, JobState.FAILED);
  }
  const { outputs, result } = request;
  const whole = { ...entry, job: { ...job, outputs, ...(result ? { result } : {}) } };
  return ended(whole, request.state);
}

/** The job after its lease lapsed, or undefined while it has not: cancelled when that was asked for, tried again, or failed. */
export function lapsed(entry: JobEntry, nowMs: number): JobEntry | undefined {
  const { job } = entry;
  if (job.state !== JobState.RUNNING || !job.leaseExpiresAt || timestampMs(job.leaseExpiresAt) > nowMs)
    return undefined;
  if (job.cancelRequested) return ended(entry, JobState.CANCELLED);
  if (job.attempt < entry.maxAttempts) return requeued(entry, 0);
  const errorMessage = `The job was claimed ${job.attempt} times and no worker finished it; the log of ${job.worker} says why.`;
  return ended({ ...entry, job: { ...job, errorCode: 'INTERNAL', errorMessage } }, JobState.FAILED);
}

/** The job after somebody asked for its end: a waiting one is cancelled, a running one is told at its next heartbeat. */
export function cancelled(entry: JobEntry): JobEntry {
  const asked = { ...entry, job: { ...entry.job, cancelRequested: true } };
  return entry.job.state === JobState.QUEUED ? ended(asked, JobState.CANCELLED) : asked;
}

function requeued(entry: JobEntry, notBeforeMs: number): JobEntry {
  return { ...entry, notBeforeMs, job: unheld(entry.job, JobState.QUEUED) };
}

function ended(entry: JobEntry, state: jobV1.JobState): JobEntry {
  return { ...entry, job: unheld(entry.job, state) };
}

function unheld(job: jobV1.Job, state: jobV1.JobState): jobV1.Job {
  const free = { ...job, state, worker: '' };
  delete free.leaseExpiresAt;
  return free;
}

function mayPass(code: string): boolean {
  return isErrorCode(code) && ERROR_CODES[code].retryable;
}
