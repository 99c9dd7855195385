/** What each side of the mesh does with an error: gRPC status, HTTP status, whether a retry may succeed, OpenAI error type. */
export interface ErrorSpec {
  /** gRPC status name (google.rpc.Code). */
  readonly grpc: GrpcStatusName;
  /** HTTP status the gateway answers with. */
  readonly http: number;
  /** True when the same call may succeed later without change. */
  readonly retryable: boolean;
  /** One sentence for the reference page. */
  readonly summary: string;
}

/** Status names of google.rpc.Code that the table uses. */
export type GrpcStatusName =
  | 'CANCELLED'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS'
  | 'UNAUTHENTICATED';

const spec = (grpc: GrpcStatusName, http: number, retryable: boolean, summary: string): ErrorSpec => ({
  grpc,
  http,
  retryable,
  summary,
});

/**
 * The one table of error codes. Every failure that leaves a process carries one of these; the reference page
 * docs/reference/errors.md is generated from it. Keep it sorted.
 */
export const ERROR_CODES = {
  ARTIFACT_CORRUPT: spec(
    'DATA_LOSS',
    500,
    false,
    'An artifact does not match the digest it is stored under.',
  ),
  ARTIFACT_NOT_FOUND: spec('NOT_FOUND', 404, false, 'No artifact is stored under this digest.'),
  ARTIFACT_STORE_FULL: spec('RESOURCE_EXHAUSTED', 507, true, 'The artifact store has no space left.'),
  BUNDLE_INVALID: spec(
    'INVALID_ARGUMENT',
    400,
    false,
    'A bundle breaks its manifest schema, its digests or its folder rules.',
  ),
  CANCELLED: spec('CANCELLED', 499, false, 'The caller went away before the answer was ready.'),
  COMPOSITION_REFUSED: spec(
    'FAILED_PRECONDITION',
    409,
    false,
    'The parents cannot be composed, or the result failed its checks.',
  ),
  CONFIG_INVALID: spec(
    'INVALID_ARGUMENT',
    400,
    false,
    'A setting is missing, malformed, unknown or contradicts another.',
  ),
  DATASET_INVALID: spec(
    'INVALID_ARGUMENT',
    400,
    false,
    'A data file cannot be used: its form, encoding, columns or labels are wrong.',
  ),
  DATA_FOLDER_IN_USE: spec('FAILED_PRECONDITION', 409, false, 'A mesh runs already on this data folder.'),
  DEADLINE_EXCEEDED: spec(
    'DEADLINE_EXCEEDED',
    504,
    true,
    'The work could not finish within the deadline of the request.',
  ),
  EVENT_INVALID: spec(
    'INVALID_ARGUMENT',
    400,
    false,
    'An event record cannot be decoded or lacks a required header.',
  ),
  EVENT_LOG_BUSY: spec('UNAVAILABLE', 503, true, 'Another process keeps the embedded event log locked.'),
  EVENT_LOG_CORRUPT: spec('DATA_LOSS', 500, false, 'The embedded event log is torn or is not an event log.'),
  EVENT_LOG_FULL: spec(
    'RESOURCE_EXHAUSTED',
    507,
    true,
    'The disk that holds the embedded event log is full.',
  ),
  EVENT_TOO_LARGE: spec('INVALID_ARGUMENT', 413, false, 'A record is larger than the topic accepts.'),
  EXPERT_CRASHED: spec(
    'UNAVAILABLE',
    503,
    true,
    'The process that ran the model ended while it held this request.',
  ),
  EXPERT_NOT_FOUND: spec(
    'NOT_FOUND',
    404,
    false,
    'No expert, version or channel of this name is registered.',
  ),
  EXPERT_NOT_READY: spec('UNAVAILABLE', 503, true, 'The expert is known but not loaded yet.'),
  EXPERT_OVERLOADED: spec('RESOURCE_EXHAUSTED', 429, true, 'The queue of the expert is full.'),
  FLAG_INVALID: spec(
    'INVALID_ARGUMENT',
    400,
    false,
    'A routing flag is unknown, malformed, repeated or out of range.',
  ),
  GRAPH_INVALID: spec(
    'INVALID_ARGUMENT',
    400,
    false,
    'An ONNX graph is malformed, too large, or uses what is not allowed.',
  ),
  HEADERS_TOO_LARGE: spec(
    'INVALID_ARGUMENT',
    431,
    false,
    'The headers of a request are larger than the limit.',
  ),
  INFERENCE_FAILED: spec('INTERNAL', 500, false, 'The runtime reported an error while it ran a model.'),
  INTERNAL: spec(
    'INTERNAL',
    500,
    false,
    'A fault of the mesh itself; the log line with the same trace id has the cause.',
  ),
  JOB_CONFLICT: spec(
    'FAILED_PRECONDITION',
    409,
    false,
    'The job is not in a state that allows this, or the claim token is stale.',
  ),
  JOB_NOT_FOUND: spec('NOT_FOUND', 404, false, 'No job has this id.'),
  KAFKA_UNREACHABLE: spec('UNAVAILABLE', 503, true, 'No Kafka broker of the configured list answers.'),
  KEY_INVALID: spec('UNAUTHENTICATED', 401, false, 'The API key is missing, malformed, unknown or revoked.'),
  LEADERSHIP_LOST: spec('UNAVAILABLE', 503, true, 'Another process has been elected writer.'),
  MEDIA_TYPE_UNSUPPORTED: spec(
    'INVALID_ARGUMENT',
    415,
    false,
    'The body is not of a type that is taken here.',
  ),
  METHOD_NOT_ALLOWED: spec(
    'UNIMPLEMENTED',
    405,
    false,
    'The path is answered, but not for this HTTP method.',
  ),
  METHOD_UNSUPPORTED: spec(
    'UNIMPLEMENTED',
    501,
    false,
    'This server does not offer the requested operation.',
  ),
  NOT_LEADER: spec(
    'FAILED_PRECONDITION',
    503,
    true,
    'This replica is not the elected writer; metadata names the one that is.',
  ),
  NO_SUITABLE_EXPERT: spec(
    'FAILED_PRECONDITION',
    422,
    false,
    'No expert passes the filters, or all are predicted to do badly.',
  ),
  PERMISSION_DENIED: spec(
    'PERMISSION_DENIED',
    403,
    false,
    'The key is valid but its role or tenant does not allow this.',
  ),
  PORT_IN_USE: spec(
    'FAILED_PRECONDITION',
    500,
    false,
    'A network address that a service should listen on is taken.',
  ),
  RATE_LIMITED: spec(
    'RESOURCE_EXHAUSTED',
    429,
    true,
    'The tenant has used up its rate or concurrency limit.',
  ),
  REGISTRY_NOT_READY: spec('UNAVAILABLE', 503, true, 'The registry view has not caught up yet.'),
  RELEASE_CONFLICT: spec(
    'FAILED_PRECONDITION',
    409,
    false,
    'A release is not in a state that allows this, or a live one stands in the way.',
  ),
  REQUEST_INVALID: spec('INVALID_ARGUMENT', 400, false, 'A request has a wrong, missing or unknown field.'),
  REQUEST_TOO_LARGE: spec(
    'INVALID_ARGUMENT',
    413,
    false,
    'A request body or prompt is larger than the limit.',
  ),
  RESOURCE_NOT_FOUND: spec('NOT_FOUND', 404, false, 'No resource or route of this name exists.'),
  REVISION_CONFLICT: spec(
    'ABORTED',
    409,
    true,
    'The resource changed since the revision the writer expected.',
  ),
  ROUTER_MODEL_NOT_FOUND: spec('NOT_FOUND', 404, false, 'No router model serves this task.'),
  SIGNATURE_REFUSED: spec(
    'PERMISSION_DENIED',
    403,
    false,
    'A bundle is not signed by a trusted key where that is required, or its signature is wrong.',
  ),
  TENSOR_INVALID: spec(
    'INVALID_ARGUMENT',
    400,
    false,
    'A tensor has a wrong name, shape, data type or content.',
  ),
  TRAINING_DIVERGED: spec(
    'INTERNAL',
    500,
    false,
    'A loss, gradient or weight stopped being a finite number while a model was trained.',
  ),
  UPSTREAM_ERROR: spec('INTERNAL', 502, false, 'A remote service answered with an error that is not ours.'),
  UPSTREAM_UNAVAILABLE: spec('UNAVAILABLE', 503, true, 'A remote service cannot be reached.'),
} as const satisfies Record<string, ErrorSpec>;

/** A code of the table. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** True for a string that is a code of the table. */
export function isErrorCode(value: string): value is ErrorCode {
  return Object.hasOwn(ERROR_CODES, value);
}
