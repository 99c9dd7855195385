import type { MessageInitShape } from '@bufbuild/protobuf';
import type { jobV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { CallContext, ServiceImplementation } from '@thalamus/grpc';
import { isFinal, type JobTable } from '../../application/job-table.js';

const KINDS = ['train', 'evaluate', 'loss-table', 'compose', 'repair'];
const MAX_WAIT_MS = 30_000;

/** thalamus.job.v1 over the job table. */
export class JobGrpcService implements ServiceImplementation<typeof jobV1.JobService> {
  constructor(private readonly jobs: JobTable) {}

  async submit(request: jobV1.SubmitRequest) {
    if (!KINDS.includes(request.kind)) {
      throw new ThalamusError(
        'REQUEST_INVALID',
        `kind "${request.kind}" is unknown; known are ${KINDS.join(', ')}.`,
        { violations: [{ field: 'kind', description: KINDS.join(', ') }] },
      );
    }
    return { job: await this.jobs.submit(request) };
  }

  async get(request: jobV1.GetRequest) {
    return Promise.resolve({ job: this.jobs.get(request.id) });
  }

  async list(request: jobV1.ListRequest) {
    const all = this.jobs.list(request.kind, request.state);
    const start = request.pageToken === '' ? 0 : Number(request.pageToken);
    if (!Number.isInteger(start) || start < 0)
      throw new ThalamusError(
        'REQUEST_INVALID',
        `page_token "${request.pageToken}" is not from a former answer.`,
      );
    const end = start + (request.pageSize || 100);
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
    while (!context.signal.aborted) {
      const job = this.jobs.get(request.id);
      if (job !== last) yield { job };
      last = job;
      if (isFinal(job)) return;
      await this.jobs.changed(context.signal);
    }
  }

  async cancel(request: jobV1.CancelRequest) {
    return { job: await this.jobs.cancel(request.id) };
  }

  async claim(request: jobV1.ClaimRequest, context: CallContext) {
    if (request.worker === '')
      throw new ThalamusError('REQUEST_INVALID', 'worker is empty; name the process that claims.');
    const until = AbortSignal.any([
      context.signal,
      AbortSignal.timeout(Math.min(request.waitMs, MAX_WAIT_MS)),
    ]);
    for (;;) {
      const claimed = await this.jobs.claim(request.worker, request.kinds, request.leaseMs);
      if (claimed) return claimed;
      if (request.waitMs === 0 || until.aborted) return {};
      await this.jobs.changed(until);
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
    return { job: await this.jobs.finish(request) };
  }
}
