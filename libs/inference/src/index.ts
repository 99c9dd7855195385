export type {
  Feeds,
  HeldWeights,
  InferenceRuntime,
  InferenceSession,
  ModelSource,
  RowTable,
  RunLanes,
  RunOptions,
  SessionOptions,
  SessionValue,
  TableColumns,
} from './inference-runtime.port.js';
export {
  CALIBRATION_FILE,
  JsonCalibrationFile,
  machineName,
  PLAIN,
  ProcessCalibrator,
  SessionCalibration,
  speedUp,
  type KeptCalibration,
  type SessionChoice,
} from './calibration/index.js';
export { OrtRuntime } from './ort-runtime.js';
export { ChildProcessPool, type ChildProcessPoolOptions, type PooledProcess } from './child-process-pool.js';
export { ChildProcessRuntime, type ChildProcessRuntimeOptions } from './child-process-runtime.js';
export { padTokens, Tokenizer, type MaskToken, type TokenBatch, type TokenRow } from './tokenizer.js';
export { PromptEncoder, type PromptVectors, type TokenizerAlone } from './prompt-encoder.js';
export { TextEncoder, type EncodedPrompts, type EncodedTexts } from './text-encoder.js';
export {
  DynamicBatcher,
  type BatchOutcome,
  type BatcherOptions,
  type SubmitOptions,
} from './dynamic-batcher.js';
