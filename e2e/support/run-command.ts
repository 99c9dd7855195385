import { spawn, type ChildProcess } from 'node:child_process';
import { NODE, ROOT, THALAMUS } from './paths.js';

/** How a command ended and what it said. */
export interface CommandResult {
  /** Exit code, or the signal's name. */
  readonly exit: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is run. */
export interface RunOptions {
  /** Bytes for its standard input; none: it is closed at once. */
  readonly input?: string | Uint8Array;
  readonly environment?: Readonly<Record<string, string>>;
  readonly workingFolder?: string;
  readonly timeoutMs?: number;
}

/** A command that runs. */
export interface RunningCommand {
  readonly child: ChildProcess;
  readonly pid: number;
  /** What it has said so far. */
  readonly said: { readonly stdout: string; readonly stderr: string };
  readonly ended: Promise<CommandResult>;
}

/** This process's environment without settings of ours, so that a test says all that counts. */
export function cleanEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] =>
        entry[1] !== undefined && !/^(THALAMUS|VITEST|NODE_OPTIONS|NODE_ENV)/.test(entry[0]),
    ),
  );
}

/** Starts a command in a process group of its own, as a terminal does. */
export function startCommand(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): RunningCommand {
  const child = spawn(command, args, {
    cwd: options.workingFolder ?? ROOT,
    env: { ...cleanEnvironment(), ...options.environment },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text));
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input);
  const timeoutMs = options.timeoutMs ?? 60_000;
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  const ended = new Promise<CommandResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ exit: signal ?? code ?? 1, ...said });
    });
  });
  return { child, pid: child.pid ?? 0, said, ended };
}

/** Starts `thalamus` on the pinned Node. */
export function startThalamus(args: readonly string[], options: RunOptions = {}): RunningCommand {
  return startCommand(NODE, [THALAMUS, ...args], options);
}

/** Runs `thalamus` to its end. */
export function thalamus(args: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
  return startThalamus(args, options).ended;
}
