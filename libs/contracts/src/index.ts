export * as artifactV1 from './gen/thalamus/artifact/v1/artifact_pb.js';
export * as composerV1 from './gen/thalamus/composer/v1/composer_pb.js';
export * as eventsV1 from './gen/thalamus/events/v1/events_pb.js';
export * as gatewayV1 from './gen/thalamus/gateway/v1/gateway_pb.js';
export * as jobV1 from './gen/thalamus/job/v1/job_pb.js';
export * as registryV1 from './gen/thalamus/registry/v1/registry_pb.js';
export * as releaseV1 from './gen/thalamus/release/v1/release_pb.js';
export * as routerV1 from './gen/thalamus/router/v1/router_pb.js';
export * as inference from './gen/inference/grpc_service_pb.js';
export * as modelConfig from './gen/inference/model_config_pb.js';
export * as health from './gen/grpc/health/v1/health_pb.js';
export * as rpcStatus from './gen/google/rpc/status_pb.js';
export * as rpcDetails from './gen/google/rpc/error_details_pb.js';
export {
  DEAD_LETTER_SUFFIX,
  DEAD_LETTER_RETENTION_MS,
  deadLetterTopic,
  LEADER_TOPIC,
  TOPICS,
  type TopicDefinition,
  type TopicName,
} from './topics.js';
export { EVENT_HEADERS, HTTP_HEADERS, RPC_METADATA } from './headers.js';
export { ATTRIBUTES, METRICS, type MetricDefinition, type MetricKind } from './telemetry-names.js';
export { MAX_PROMPT_BYTES } from './prompt-limits.js';
export { TASKS, isTask, type Task } from './tasks.js';
export {
  evaluateParametersSchema,
  expertRole,
  isJobKind,
  JOB_ARTIFACTS,
  JOB_KINDS,
  JOB_PARAMETERS,
  LOSS_TABLE_LIMITS,
  lossTableParametersSchema,
  trainParametersSchema,
  type EvaluateParameters,
  type JobKind,
  type LossTableParameters,
  type TrainParameters,
} from './job-kinds.js';
export { MIN_REPAIR_ROWS, repairParametersSchema, type RepairParameters } from './repair-parameters.js';
export {
  HYPER_PARAMETER_NAMES,
  HYPER_PARAMETER_RANGES,
  SCHEDULES,
  DEFAULT_REPAIR_METHOD,
  REPAIR_METHODS,
  TRAINING_METHODS,
  withoutEffect,
  type HyperParameterName,
  type NumberRange,
  type ScheduleName,
  type RepairMethod,
  type TrainingMethod,
} from './training-parameters.js';
export { readJsonObject, writeJson } from './json/read-json.js';
export { joinBytesElements, splitBytesElements } from './oip/bytes-elements.js';
export { bestLabels, textsRequest, type TextsRequest } from './oip/text-labels.js';
export {
  MAX_TENSOR_ELEMENTS,
  OIP_DATATYPES,
  OIP_DATATYPE_NAMES,
  type OipDatatype,
  type OipDatatypeName,
} from './oip/datatypes.js';
export {
  OIP_ROUTES,
  oipErrorJson,
  type OipCalls,
  type OipQuestion,
  type OipReply,
  type OipRoute,
} from './oip/http-routes.js';
