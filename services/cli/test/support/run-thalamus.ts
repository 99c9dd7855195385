import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** How a command ended and what it said. */
export interface Ended {
  /** Exit code, or the signal that ended it. */
  readonly exit: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs. */
export interface Running {
  readonly ended: Promise<Ended>;
  /** Ctrl-C. */
  interrupt(): void;
  /** Ends it at once, as the system does where memory is short. */
  kill(): void;
  /** Resolves once standard error holds what is looked for; rejects when the command ends without it. */
  says(pattern: RegExp): Promise<void>;
}

/** How a command is run. */
export interface RunOptions {
  readonly folder: string;
  /** Largest file that it may write, in units of 512 bytes (1,024 where sh is bash): the system refuses more. */
  readonly fileBlocks?: number;
}

const BIN = fileURLToPath(new URL('../../bin/thalamus.mjs', import.meta.url));
/** A bound against hanging, not a promise. */
const LONGEST_MS = 300_000;

/** Starts `thalamus` as a user does: its bin, in a process of its own, without a terminal. */
export function startThalamus(args: readonly string[], { folder, fileBlocks }: RunOptions): Running {
  const [command, before] =
    fileBlocks === undefined
      ? [process.execPath, []]
      : ['sh', ['-c', `ulimit -f ${fileBlocks} && exec "$0" "$@"`, process.execPath]];
  const child = spawn(command, [...before, BIN, ...args], {
    cwd: folder,
    // Nothing of ours from this environment; a home that is not the folder, where native libraries keep their caches.
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  const waiting = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text;
    for (const look of waiting) look();
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), LONGEST_MS);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ exit: signal ?? code ?? 1, ...said });
    });
  });
  return {
    ended,
    interrupt: () => void child.kill('SIGINT'),
    kill: () => void child.kill('SIGKILL'),
    says: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (pattern.test(said.stderr)) resolve();
        };
        waiting.add(look);
        void ended.then(({ exit, stderr }) => {
          reject(new Error(`It ended with ${exit} and never said ${String(pattern)}:\n${stderr}`));
        }, reject);
        look();
      }),
  };
}

/** Runs `thalamus` to its end. */
export function thalamus(args: readonly string[], options: RunOptions): Promise<Ended> {
  return startThalamus(args, options).ended;
}
