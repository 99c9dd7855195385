/** Record headers on the bus: CloudEvents 1.0 binary mode, W3C trace context, dead-letter facts. */
export const EVENT_HEADERS = {
  specVersion: 'ce_specversion',
  id: 'ce_id',
  source: 'ce_source',
  type: 'ce_type',
  subject: 'ce_subject',
  time: 'ce_time',
  contentType: 'content-type',
  traceParent: 'traceparent',
  traceState: 'tracestate',
  /** Global registry revision of a state record or tombstone, decimal. */
  revision: 'thalamus-revision',
  errorCode: 'thalamus-error-code',
  errorMessage: 'thalamus-error-message',
  attempt: 'thalamus-attempt',
  originTopic: 'thalamus-origin-topic',
  originPartition: 'thalamus-origin-partition',
  originOffset: 'thalamus-origin-offset',
} as const;

/** HTTP headers of the gateway. */
export const HTTP_HEADERS = {
  requestId: 'x-request-id',
  flags: 'x-thalamus-flags',
  expert: 'x-thalamus-expert',
  version: 'x-thalamus-version',
  decision: 'x-thalamus-decision',
  /** Longest time the caller waits, milliseconds. */
  requestTimeoutMs: 'x-request-timeout-ms',
} as const;

/** gRPC metadata keys. */
export const RPC_METADATA = {
  authorization: 'authorization',
  requestId: 'x-request-id',
  tenant: 'x-thalamus-tenant',
  /** Key id or service that makes a change; recorded in the audit. */
  actor: 'x-thalamus-actor',
  statusDetails: 'grpc-status-details-bin',
  leader: 'x-thalamus-leader',
  timings: 'x-thalamus-timings',
} as const;
