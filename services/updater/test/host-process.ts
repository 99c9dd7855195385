import { freePorts } from '@thalamus/testing';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../expert-host/dist/main.js', import.meta.url));

/** A real expert host as a process, on the log and in the folder of an updater. */
export class HostProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly address: string,
  ) {}

  static async start(folder: string): Promise<HostProcess> {
    const [port = 0] = await freePorts(1);
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('THALAMUS_'));
    const child = fork(MAIN, [], {
      env: {
        ...Object.fromEntries(inherited),
        THALAMUS_GRPC_PORT: String(port),
        THALAMUS_HTTP_PORT: '0',
        THALAMUS_OPS_PORT: '0',
        THALAMUS_BUS: 'embedded',
        THALAMUS_BUS_FILE: join(folder, 'events.sqlite'),
        THALAMUS_ARTIFACTS: 'folder',
        THALAMUS_ARTIFACTS_FOLDER: join(folder, 'artifacts'),
        THALAMUS_DATA: join(folder, 'host'),
        THALAMUS_INFERENCE_THREADS: '1',
        THALAMUS_INFERENCE_CHILDREN: '1',
        THALAMUS_INFERENCE_WEIGHTS: 'stored',
        THALAMUS_RESIDENCY_LEASE_MS: '4000',
        THALAMUS_LOG_LEVEL: 'error',
      },
      execArgv: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    await new Promise<void>((resolve, reject) => {
      child.once('message', (message: { kind: string; message?: string }) => {
        if (message.kind === 'ready') resolve();
        else reject(new Error(`expert-host: ${message.message ?? message.kind}`));
      });
      child.once('exit', (code, signal) => {
        reject(new Error(`the host ended while starting: ${signal ?? code ?? 'unknown'}`));
      });
    });
    return new HostProcess(child, `127.0.0.1:${port}`);
  }

  /** Ends it at once, as kill -9 does, or in order. */
  async stop(signal: 'SIGKILL' | 'SIGTERM' = 'SIGTERM'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill(signal);
    await ended;
  }
}
