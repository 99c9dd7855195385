/** What a log line says of an error. */
export interface DescribedError {
  readonly type: string;
  readonly code?: string | number;
  /** Only where the text is known to hold no input. */
  readonly message?: string;
  /** Frames, without the first line, which repeats the message. */
  readonly stack?: string;
  readonly cause?: DescribedError;
}

const MARK = Symbol.for('thalamus.error');
/** Causes are followed no deeper than this. */
const MAX_DEPTH = 4;

/**
 * Describes an error for a log line without the risk of prompt text. Many errors quote what they were given (`JSON.parse`,
 * argument checks of Node, foreign servers), so a message is written only when its kind rules that out: our own errors,
 * whose texts name fields and places, and failed system calls, SQLite and Kafka, which never see a prompt. Of the others
 * the log has the type, the code and the frames of the stack, which say where to look.
 */
export function describeError(fault: unknown, depth = 0): DescribedError | undefined {
  if (fault === undefined || fault === null) return undefined;
  if (!(fault instanceof Error)) return { type: typeof fault };
  const { code } = fault as { code?: unknown };
  // The stack begins with the message, which may itself have lines that look like frames.
  const frames = (fault.stack ?? '').replace(fault.message, '').split('\n').filter(isFrame);
  const cause = depth < MAX_DEPTH ? describeError(fault.cause, depth + 1) : undefined;
  return {
    type: fault.name,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(isTextSafe(fault) ? { message: fault.message } : {}),
    ...(frames.length > 0 ? { stack: frames.join('\n') } : {}),
    ...(cause === undefined ? {} : { cause }),
  };
}

const isFrame = (line: string) => /^\s+at /.test(line);

function isTextSafe(fault: Error): boolean {
  const facts = fault as unknown as Record<string | symbol, unknown>;
  if (facts[MARK] === true) return true;
  if (typeof facts['syscall'] === 'string') return true;
  return facts['code'] === 'ERR_SQLITE_ERROR' || fault.name.startsWith('KafkaJS');
}
