import { toThalamusError, type ErrorCode } from '@thalamus/errors';
import { CommanderError } from 'commander';
import { EXIT, VERDICT_EXIT, VERDICT_VERBS } from './exit-codes.js';

/** How a command that failed ends: what is said, under which code, and the exit code. */
export interface FaultReport {
  readonly code: ErrorCode;
  readonly message: string;
  readonly exit: number;
}

const USAGE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['CONFIG_INVALID', 'FLAG_INVALID']);

/** What to say about a thrown value; undefined when there is nothing to say, as after --help. */
export function describeFault(fault: unknown, verb: string): FaultReport | undefined {
  const report = describe(fault, verb);
  return report && VERDICT_VERBS.has(verb) ? { ...report, exit: VERDICT_EXIT.error } : report;
}

/**
 * How a command ends whose output cannot be written. A reader that has read enough, such as head, is no fault: the verdict stands.
 * @param exitCode - what the verb has answered so far
 */
export function endOfOutput(
  fault: Pick<NodeJS.ErrnoException, 'code'>,
  verb: string,
  exitCode: number,
): Pick<FaultReport, 'message' | 'exit'> {
  if (fault.code === 'EPIPE') return { message: '', exit: exitCode };
  const exit = VERDICT_VERBS.has(verb) ? VERDICT_EXIT.error : EXIT.failed;
  return { message: `The output cannot be written (${fault.code ?? 'unknown fault'}).`, exit };
}

function describe(fault: unknown, verb: string): FaultReport | undefined {
  if (fault instanceof CommanderError) {
    if (fault.exitCode === 0) return undefined;
    const text = fault.message.replace(/^error: /, '');
    // A group without its verb: commander has printed the help already, and its message says no more.
    const message = fault.code === 'commander.help' ? 'A verb is missing; the help above lists them.' : text;
    return {
      code: 'CONFIG_INVALID',
      message: `${message}\n"${verb} --help" shows what it takes.`,
      exit: EXIT.usage,
    };
  }
  const { code, message, cause } = toThalamusError(fault);
  const said = code === 'INTERNAL' && cause instanceof Error ? cause.message : message;
  return { code, message: said, exit: exitOf(code) };
}

function exitOf(code: ErrorCode): number {
  if (code === 'UPSTREAM_UNAVAILABLE' || code === 'KAFKA_UNREACHABLE') return EXIT.unreachable;
  return USAGE.has(code) ? EXIT.usage : EXIT.failed;
}
