import { ERROR_CODES, type ErrorCode, type ErrorSpec } from './codes.js';

const MARK = Symbol.for('thalamus.error');

/** Where a fault sits in the input: a field path and what is wrong there. */
export interface FieldViolation {
  /** Path of the field, such as `flags.size`. */
  readonly field: string;
  /** What is wrong and what would be right. */
  readonly description: string;
}

/** Optional facts of an error. */
export interface ThalamusErrorOptions {
  /** The underlying fault: logged once at the edge, never sent to a caller. */
  readonly cause?: unknown;
  /** Short facts that a program may act on; sent as ErrorInfo.metadata. Never prompt text. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** When to try again, in milliseconds; sent as RetryInfo and Retry-After. */
  readonly retryAfterMs?: number;
  /** Faults by field; sent as BadRequest. */
  readonly violations?: readonly FieldViolation[];
}

/** The only error type that crosses a boundary of the mesh. Recognised by a global symbol, so copies of this package agree. */
export class ThalamusError extends Error {
  /** Code of the one table. */
  readonly code: ErrorCode;
  /** Short facts for programs. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Milliseconds until a retry makes sense, when known. */
  readonly retryAfterMs: number | undefined;
  /** Faults by field, empty when the error is not about input. */
  readonly violations: readonly FieldViolation[];

  constructor(code: ErrorCode, message: string, options: ThalamusErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ThalamusError';
    this.code = code;
    this.metadata = options.metadata ?? {};
    this.retryAfterMs = options.retryAfterMs;
    this.violations = options.violations ?? [];
    Object.defineProperty(this, MARK, { value: true });
  }

  /** The row of the table for this error. */
  get spec(): ErrorSpec {
    return ERROR_CODES[this.code];
  }

  /** True for an error of this type, from any copy of the package. */
  static is(value: unknown): value is ThalamusError {
    return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[MARK] === true;
  }
}

/**
 * The only conversion from a caught value. An AbortError becomes CANCELLED, a TimeoutError DEADLINE_EXCEEDED, one of
 * ours passes unchanged, anything else becomes INTERNAL with a fixed text and the original as `cause`.
 */
export function toThalamusError(value: unknown): ThalamusError {
  if (ThalamusError.is(value)) return value;
  const name = value instanceof Error ? value.name : '';
  if (name === 'AbortError') {
    return new ThalamusError('CANCELLED', 'The request was cancelled by the caller.', { cause: value });
  }
  if (name === 'TimeoutError') {
    return new ThalamusError(
      'DEADLINE_EXCEEDED',
      'The request ran past its deadline; allow more time or send less work.',
      {
        cause: value,
      },
    );
  }
  return new ThalamusError('INTERNAL', 'Internal error; the log line with the same trace id says more.', {
    cause: value,
  });
}
