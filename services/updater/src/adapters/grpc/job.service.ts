import type { MessageInitShape } from '@bufbuild/protobuf';
import { isJobKind, JOB_KINDS, jobV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { CallContext, ServiceImplementation } from '@thalamus/grpc';
import type { JobTable } from '../../application/job-table.js';
import type { SubmitJob } from '../../application/submit-job.js';
import { isFinal } from '../../domain/job-lifecycle.js';

const { JobState } = jobV1;
const MAX_WAIT_MS = 30_000;
const MAX_PAGE = 1_000;
const DEFAULT_PAGE = 100;
const FINISH_STATES = [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.QUEUED];

/** thalamus.job.v1 over the job table. */
export class JobGrpcService implements ServiceImplementation<typeof jobV1.JobService> {
  constructor(
    private readonly jobs: JobTable,
    private readonly submitJob: SubmitJob,
  ) {}

  async submit(request: jobV1.SubmitRequest) {
    return { job: await this.submitJob.run(request) };
  }

  async get(request: jobV1.GetRequest) {
    return Promise.resolve({ job: this.jobs.get(request.id) });
  }

  async list(request: jobV1.ListRequest) {
    if (request.kind !== '' && !isJobKind(request.kind))
      throw invalid('kind', `"${request.kind}" is unknown; known are ${Object.values(JOB_KINDS).join(', ')}`);
    const start = request.pageToken === '' ? 0 : Number(request.pageToken);
    if (!Number.isInteger(start) || start < 0)
      throw invalid('page_token', `"${request.pageToken}" is not from a former answer`);
    const all = this.jobs.list(request.kind, request.state);
    const end = start + Math.min(request.pageSize || DEFAULT_PAGE, MAX_PAGE);
    return Promise.resolve({
      jobs: all.slice(start, end),
      nextPageToken: end < all.length ? String(end) : '',
    });
  }

  async *watch(
    request: jobV1.WatchRequest,
    context: CallContext,
  ): AsyncIterable<MessageInitShape<typeof jobV1.WatchResponseSchema>> {
    let last: jobV1.Job | undefined;
    const over = AbortSignal.any([context.signal, context.draining]);
    while (!over.aborted) {
      // Read before the job: a change while the caller is slow to take this one must not be missed.
      const since = this.jobs.changes;
      const job = this.jobs.get(request.id);
      if (job !== last) yield { job };
      last = job;
      if (isFinal(job)) return;
      await this.jobs.changed(since, over);
    }
  }

  async cancel(request: jobV1.CancelRequest) {
    return { job: await this.jobs.cancel(request.id) };
  }

  async claim(request: jobV1.ClaimRequest, context: CallContext) {
    if (request.worker === '') throw invalid('worker', 'is empty; name the process that claims');
    if (request.kinds.length === 0) throw invalid('kinds', 'is empty; name the kinds that the worker runs');
    const until = AbortSignal.any([
      context.signal,
      context.draining,
      AbortSignal.timeout(Math.min(request.waitMs, MAX_WAIT_MS)),
    ]);
    for (;;) {
      const since = this.jobs.changes;
      const taken = await this.jobs.claim(request.worker, request.kinds, request.leaseMs);
      if (taken && isAborted(context.signal)) {
        // The worker has gone meanwhile and will never learn of its claim.
        await this.jobs.giveBack(taken.job.id, taken.token);
        return {};
      }
      if (taken) return taken;
      if (request.waitMs === 0 || until.aborted) return {};
      await this.jobs.changed(since, until);
      if (isAborted(context.signal)) return {};
    }
  }

  async heartbeat(request: jobV1.HeartbeatRequest) {
    const job = await this.jobs.heartbeat(request);
    return {
      cancelRequested: job.cancelRequested,
      ...(job.leaseExpiresAt ? { leaseExpiresAt: job.leaseExpiresAt } : {}),
    };
  }

  async finish(request: jobV1.FinishRequest) {
    if (!FINISH_STATES.includes(request.state))
      throw invalid('state', 'must be SUCCEEDED, FAILED or CANCELLED, or QUEUED to give the claim back');
    return { job: await this.jobs.finish(request) };
  }
}

/** Asked again after a wait, which narrowing does not see. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function invalid(field: string, description: string): ThalamusError {
  return new ThalamusError('REQUEST_INVALID', `${field} ${description}.`, {
    violations: [{ field, description }],
  });
}
