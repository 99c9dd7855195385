export { getSdk, type TelemetrySdk } from './sdk-handle.js';
export { createLogger, setLogLevel, type Logger, type LogLevel } from './logger.js';
export { prometheusName } from './prometheus-name.js';
export { counter, gauge, histogram, meter } from './instruments.js';
export {
  contextFromHeaders,
  failSpan,
  headersFromContext,
  tracer,
  withSpan,
  type SpanOptions,
} from './spans.js';
