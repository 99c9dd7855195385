export { ERROR_CODES, isErrorCode, type ErrorCode, type ErrorSpec, type GrpcStatusName } from './codes.js';
export {
  ThalamusError,
  toThalamusError,
  type FieldViolation,
  type ThalamusErrorOptions,
} from './thalamus-error.js';
