import { readFileSync, writeFileSync } from 'node:fs';

/** Command and arguments that start a script of Node. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
}

/**
 * The command that runs a script, on Linux and macOS within a limit of private memory: what asks for more gets no memory, and fails
 * or ends alone. On Linux it ends with the process that started it, also when that is killed amid a run. Elsewhere neither is so.
 */
export function limitedCommand(command: Command, dataLimitBytes: number | undefined): Command {
  if (process.platform === 'win32') return command;
  const kibibytes = dataLimitBytes === undefined ? NO_LIMIT : String(Math.ceil(dataLimitBytes / 1024));
  return { file: '/bin/sh', args: ['-c', LIMITED, kibibytes, command.file, ...command.args] };
}

const NO_LIMIT = 'none';
/** A system that knows no such limit, or no such end, runs the script without it. */
const LIMITED = `[ "$0" = ${NO_LIMIT} ] || ulimit -d "$0" 2>/dev/null
setpriv --pdeathsig KILL true 2>/dev/null && exec setpriv --pdeathsig KILL "$@"
exec "$@"`;

/** When the machine runs out of memory, this process is ended before others. Nothing happens where that cannot be said. */
export function sacrificeFirst(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, '1000');
  } catch {
    // Another system, or the process has ended.
  }
}

/** Resident memory of a process in bytes; undefined where the system does not say. */
export function residentBytesOf(pid: number): number | undefined {
  try {
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
  } catch {
    return undefined;
  }
}
