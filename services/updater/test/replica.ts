import { freePorts, waitUntil } from '@thalamus/testing';
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { clientsOf } from './running-updater.js';

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));

/** An updater in a process of its own. */
export interface Replica {
  readonly address: string;
  readonly process: ChildProcess;
  readonly clients: ReturnType<typeof clientsOf>;
}

/** Updaters on one log in a folder. */
export class Replicas {
  private readonly running: Replica[] = [];

  constructor(private readonly folder: string) {}

  async start(name: string): Promise<Replica> {
    const [port = 0] = await freePorts(1);
    const inherited = Object.entries(process.env).filter(([variable]) => !variable.startsWith('THALAMUS_'));
    const child = fork(MAIN, [], {
      env: {
        ...Object.fromEntries(inherited),
        THALAMUS_GRPC_PORT: String(port),
        THALAMUS_OPS_PORT: '0',
        THALAMUS_BUS: 'embedded',
        THALAMUS_BUS_FILE: join(this.folder, 'events.sqlite'),
        THALAMUS_ARTIFACTS_FOLDER: join(this.folder, 'artifacts'),
        THALAMUS_LOG_LEVEL: 'error',
      },
      execArgv: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const address = `127.0.0.1:${port}`;
    const replica = { address, process: child, clients: clientsOf(address) };
    this.running.push(replica);
    await waitUntil(`${name} answers`, () => replica.clients.registry.getStatus({}), { timeoutMs: 60_000 });
    return replica;
  }

  /** Ends all of them at once. */
  async killAll(): Promise<void> {
    for (const replica of this.running.splice(0)) await kill(replica);
  }
}

/** Ends a process at once, as kill -9 does. */
export async function kill({ process: child, clients }: Replica): Promise<void> {
  clients.close();
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null)
    await new Promise((resolve) => child.once('exit', resolve));
}

/** Whether a replica is the elected writer. */
export const leads =
  ({ clients }: Replica) =>
  async () =>
    (await clients.registry.getStatus({})).isLeader;
