import { freePorts } from '@thalamus/testing';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../../updater/dist/main.js', import.meta.url));

/** A real updater as a process, on the bus and in the folder of the gateway under test. */
export class UpdaterProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly address: string,
  ) {}

  static async start(folder: string): Promise<UpdaterProcess> {
    const [port = 0] = await freePorts(1);
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('THALAMUS_'));
    const child = fork(MAIN, [], {
      env: {
        ...Object.fromEntries(inherited),
        THALAMUS_GRPC_PORT: String(port),
        THALAMUS_OPS_PORT: '0',
        THALAMUS_BUS: 'embedded',
        THALAMUS_BUS_FILE: join(folder, 'events.sqlite'),
        THALAMUS_ARTIFACTS_FOLDER: join(folder, 'artifacts'),
        THALAMUS_LOG_LEVEL: 'error',
      },
      execArgv: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    await new Promise<void>((resolve, reject) => {
      child.once('message', (message: { kind: string; message?: string }) => {
        if (message.kind === 'ready') resolve();
        else reject(new Error(`updater: ${message.message ?? message.kind}`));
      });
      child.once('exit', (code, signal) => {
        reject(new Error(`the updater ended while starting: ${signal ?? code ?? 'unknown'}`));
      });
    });
    return new UpdaterProcess(child, `127.0.0.1:${port}`);
  }

  async stop(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await ended;
  }
}
