import type { MessageInitShape } from '@bufbuild/protobuf';
import { jobV1 } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { RpcClient } from '@thalamus/grpc';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MeshOptions } from '../gateway-client.js';
import { withService } from '../registry-client.js';

const { JobState } = jobV1;
/** Length of an id. */
const ID_LENGTH = 36;
const SHORTEST_PREFIX = 4;
/** How long a watch looks for an updater that has gone, in milliseconds. */
const PATIENCE_MS = 30_000;

export type JobClient = RpcClient<typeof jobV1.JobService>;

/** Does work with a client of the job table, and closes it. */
export function withJobs<T>(options: MeshOptions, work: (jobs: JobClient) => Promise<T>): Promise<T> {
  return withService(options, { name: 'updater', service: jobV1.JobService }, work);
}

/** Id of the one job whose id begins so. @throws JOB_NOT_FOUND */
export async function jobId(jobs: JobClient, prefix: string): Promise<string> {
  if (prefix.length >= ID_LENGTH) return prefix;
  const all = prefix.length < SHORTEST_PREFIX ? [] : (await jobs.list({ pageSize: 1_000 })).jobs;
  const matches = all.filter(({ id }) => id.startsWith(prefix));
  const [only, second] = matches;
  if (only && !second) return only.id;
  const text = second
    ? `${matches.length} jobs begin with "${prefix}"; give more of the id.`
    : `No job "${prefix}" exists; "thalamus jobs list" shows them.`;
  throw new ThalamusError('JOB_NOT_FOUND', text);
}

/** The stored job; the same request twice stores one. */
export async function submitJob(
  jobs: JobClient,
  request: MessageInitShape<typeof jobV1.SubmitRequestSchema>,
): Promise<jobV1.Job> {
  return present((await jobs.submit(request)).job);
}

/** The job of an answer. @throws UPSTREAM_ERROR */
export function present(job: jobV1.Job | undefined): jobV1.Job {
  if (job) return job;
  throw new ThalamusError('UPSTREAM_ERROR', 'The updater answered without a job.');
}

/** True once nothing more happens to a job. */
export function hasEnded({ state }: jobV1.Job): boolean {
  return state === JobState.SUCCEEDED || state === JobState.FAILED || state === JobState.CANCELLED;
}

/**
 * Shows every change of a job and resolves with its end. An updater that restarts meanwhile is looked for again.
 * @throws CANCELLED when the signal fires, UPSTREAM_UNAVAILABLE when the updater stays away.
 */
export async function watchJob(
  jobs: JobClient,
  id: string,
  onChange: (job: jobV1.Job) => void,
  signal: AbortSignal,
): Promise<jobV1.Job> {
  let seenAt = performance.now();
  for (;;) {
    try {
      for await (const answer of jobs.watch({ id }, { deadlineMs: 'none', signal })) {
        seenAt = performance.now();
        const job = present(answer.job);
        onChange(job);
        if (hasEnded(job)) return job;
      }
    } catch (fault) {
      const error = toThalamusError(fault);
      if (signal.aborted || !error.spec.retryable || performance.now() - seenAt > PATIENCE_MS) throw error;
    }
    await sleep(250);
  }
}
