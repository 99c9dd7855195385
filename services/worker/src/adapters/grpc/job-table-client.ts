import { jobV1 } from '@thalamus/contracts';
import { createLeaderClient, type RpcClient } from '@thalamus/grpc';
import type { Jobs } from '../../application/jobs.port.js';

const DEADLINE_MS = 10_000;

/** thalamus.job.v1 of the updater. */
export class JobTableClient implements Jobs {
  private readonly updater: RpcClient<typeof jobV1.JobService>;

  constructor(address: string) {
    this.updater = createLeaderClient(jobV1.JobService, { address, defaultDeadlineMs: DEADLINE_MS });
  }

  claim(request: Parameters<Jobs['claim']>[0], signal: AbortSignal): Promise<jobV1.ClaimResponse> {
    const deadlineMs = (request.waitMs ?? 0) + DEADLINE_MS;
    return this.updater.claim(request, { deadlineMs, signal });
  }

  heartbeat(request: Parameters<Jobs['heartbeat']>[0]): Promise<jobV1.HeartbeatResponse> {
    return this.updater.heartbeat(request);
  }

  finish(request: Parameters<Jobs['finish']>[0]): Promise<jobV1.FinishResponse> {
    return this.updater.finish(request);
  }

  close(): void {
    this.updater.close();
  }
}
