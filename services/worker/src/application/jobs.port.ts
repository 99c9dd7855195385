import type { MessageInitShape } from '@bufbuild/protobuf';
import type { jobV1 } from '@thalamus/contracts';

/** The job table, as a worker sees it. */
export interface Jobs {
  /** Waits up to `wait_ms` for a job. */
  claim(
    request: MessageInitShape<typeof jobV1.ClaimRequestSchema>,
    signal: AbortSignal,
  ): Promise<jobV1.ClaimResponse>;
  /** @throws JOB_CONFLICT once the claim has lapsed. */
  heartbeat(request: MessageInitShape<typeof jobV1.HeartbeatRequestSchema>): Promise<jobV1.HeartbeatResponse>;
  /** @throws JOB_CONFLICT once the claim has lapsed. */
  finish(request: MessageInitShape<typeof jobV1.FinishRequestSchema>): Promise<jobV1.FinishResponse>;
}
