import { trace } from '@opentelemetry/api';
import { pino, type Logger as PinoLogger } from 'pino';
import { describeError } from './describe-error.js';

/** Structured logger: a constant message, data as fields. Fields must never hold prompt text. */
export type Logger = PinoLogger;

/** Least severe level that is written. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

let level: LogLevel = 'info';
const loggers = new Set<PinoLogger>();

/** Sets the level of all loggers of this process, present and future. */
export function setLogLevel(next: LogLevel): void {
  level = next;
  for (const logger of loggers) logger.level = next;
}

/** A logger that writes JSON lines to standard output, with the trace and span id of the current span. */
export function createLogger(component: string): Logger {
  const logger = pino({
    level,
    base: { component },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    messageKey: 'message',
    errorKey: 'error',
    serializers: { error: (fault: unknown) => describeError(fault) },
    mixin: () => {
      const span = trace.getActiveSpan()?.spanContext();
      return span === undefined ? {} : { traceId: span.traceId, spanId: span.spanId };
    },
  });
  loggers.add(logger);
  return logger;
}
