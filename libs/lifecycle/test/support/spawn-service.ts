import { fork, type ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

/** What a service tells its parent. */
export interface Message {
  readonly kind: string;
  readonly port?: number;
  readonly opsPort?: number;
  readonly code?: string;
  readonly message?: string;
}

/** A running service of the tests. */
export interface SpawnedService {
  readonly child: ChildProcess;
  /** Exit code, or the name of the signal that ended it. */
  readonly exited: Promise<number | string>;
  readonly output: { stdout: string; stderr: string };
  /** The first message of a kind, also when it has come already. */
  message(kind: string): Promise<Message>;
}

const running = new Set<ChildProcess>();

/** Starts the test service in a process of its own, from sources, on the pinned Node that runs the tests. */
export function spawnService(
  settings: Readonly<Record<string, string>> = {},
  args: readonly string[] = [],
): SpawnedService {
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(THALAMUS|OTEL|NODE_OPTIONS|VITEST)/.test(name)),
  );
  const child = fork(fileURLToPath(new URL('service.ts', import.meta.url)), [...args], {
    env: { ...environment, ...settings },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    execArgv: [
      '--conditions=@thalamus/source',
      '--experimental-transform-types',
      '--disable-warning=ExperimentalWarning',
      '--import',
      new URL('source-hooks.mjs', import.meta.url).href,
      '--import',
      new URL('../../../telemetry/src/register.ts', import.meta.url).href,
    ],
  });
  running.add(child);
  const output = { stdout: '', stderr: '' };
  child.stdout?.on('data', (data: Buffer) => (output.stdout += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (output.stderr += data.toString()));
  const messages: Message[] = [];
  child.on('message', (message: Message) => messages.push(message));
  const ended = (stream: Readable | null) =>
    new Promise<void>((resolve) => {
      stream?.once('close', resolve);
    });
  const left = new Promise<number | string>((resolve) => {
    child.once('exit', (code, signal) => {
      running.delete(child);
      resolve(signal ?? code ?? -1);
    });
  });
  // The pipes may hold output when the process has gone; `close` does not come when the channel was closed by us.
  const exited = Promise.all([left, ended(child.stdout), ended(child.stderr)]).then(([how]) => how);
  const message = (kind: string) =>
    new Promise<Message>((resolve, reject) => {
      const look = () => {
        const found = messages.find((one) => one.kind === kind);
        if (found) resolve(found);
      };
      look();
      child.on('message', look);
      void exited.then((how) => {
        reject(new Error(`ended with ${how} before it said ${kind}: ${output.stderr}`));
      });
    });
  return { child, exited, output, message };
}

/** Ends services that a failed test has left. */
export function killAll(): void {
  for (const child of running) child.kill('SIGKILL');
}
