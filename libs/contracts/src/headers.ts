/** Record headers on the bus: CloudEvents 1.0 binary mode, W3C trace context, dead-letter facts. */
export const EVENT_HEADERS = {
  /** Version of CloudEvents, `1.0`. */
  specVersion: 'ce_specversion',
  /** Id of the event, a UUID; consumers handle an id once. */
  id: 'ce_id',
  /** Service that wrote it, such as `/gateway`. */
  source: 'ce_source',
  /** Reverse-DNS type, `dev.` and the topic. */
  type: 'ce_type',
  /** What it is about: the record's key. */
  subject: 'ce_subject',
  /** When it happened, RFC 3339. */
  time: 'ce_time',
  /** `application/protobuf`. */
  contentType: 'content-type',
  /** W3C trace context of the producer. */
  traceParent: 'traceparent',
  /** W3C trace state of the producer. */
  traceState: 'tracestate',
  /** Global registry revision of a state record or tombstone, decimal. */
  revision: 'thalamus-revision',
  /** Code of the error that ended a dead letter. */
  errorCode: 'thalamus-error-code',
  /** Text of that error, at most 300 characters. */
  errorMessage: 'thalamus-error-message',
  /** How often the record was tried. */
  attempt: 'thalamus-attempt',
  /** Topic that a dead letter came from. */
  originTopic: 'thalamus-origin-topic',
  /** Partition that a dead letter came from. */
  originPartition: 'thalamus-origin-partition',
  /** Offset that a dead letter came from. */
  originOffset: 'thalamus-origin-offset',
} as const;

/** HTTP headers of the gateway. */
export const HTTP_HEADERS = {
  /** Id of the request: taken from the caller when it has a safe form, else made; returned in every answer. */
  requestId: 'x-request-id',
  /** Routing flags of a request, such as `size=0.5, latency=high`. */
  flags: 'x-thalamus-flags',
  /** In answers: the expert that gave it. */
  expert: 'x-thalamus-expert',
  /** In answers: the version of that expert. */
  version: 'x-thalamus-version',
  /** In answers while a release of the expert is live: `stable` or `candidate`. */
  channel: 'x-thalamus-channel',
  /** Conversation that a request is part of: a release gives one version to all of it. Default: by key; for chat, by its first messages. */
  conversation: 'x-thalamus-conversation',
  /** In answers: how the expert was chosen. */
  decision: 'x-thalamus-decision',
  /** In answers: the composition that was asked for, what answered, and why. */
  composition: 'x-thalamus-composition',
  /** Longest time the caller waits, milliseconds. */
  requestTimeoutMs: 'x-request-timeout-ms',
} as const;

/** gRPC metadata keys. */
export const RPC_METADATA = {
  /** `Bearer` and an API key; read by the gateway. */
  authorization: 'authorization',
  /** Id of the request, passed on to every hop. */
  requestId: 'x-request-id',
  /** Tenant of the request, passed on from one service to the next. */
  tenant: 'x-thalamus-tenant',
  /** Conversation that a request is part of, as over HTTP; read by the gateway. */
  conversation: 'x-thalamus-conversation',
  /** Key id or service that makes a change; recorded in the audit. */
  actor: 'x-thalamus-actor',
  /** Trailer: `google.rpc.Status` of a failed call. */
  statusDetails: 'grpc-status-details-bin',
  /** Trailer: milliseconds by stage, as in `Server-Timing`. */
  timings: 'x-thalamus-timings',
} as const;
