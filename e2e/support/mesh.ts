import { waitUntil } from '@thalamus/testing';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from './paths.js';
import { processesOf, type ProcessRow } from './processes.js';
import {
  startThalamus,
  thalamus,
  type CommandResult,
  type RunOptions,
  type RunningCommand,
} from './run-command.js';

/** What every kind of mesh under test offers. */
export interface Mesh {
  readonly dataFolder: string;
  /** Base URL of the gateway. */
  readonly http: string;
  /** host:port of the gateway's gRPC server. */
  readonly grpc: string;
  /** The administrator's key. */
  readonly key: string;
  readonly experts: readonly string[];
  /** Runs a verb against this mesh. */
  run(args: readonly string[], options?: RunOptions): Promise<CommandResult>;
  /** Runs a verb with --json; fails with what it said unless it ends with this exit code. */
  json<T>(args: readonly string[], options?: RunOptions & { readonly exit?: number }): Promise<T>;
  /** Process id of a service now. */
  pidOf(service: string): number;
  /** host:port of a service. */
  addressOf(service: string): string;
  /** Names of the services that run. */
  readonly services: readonly string[];
  /** Ends it in order; fails when a process is left. */
  stop(): Promise<void>;
}

/** The file that `thalamus up` writes for the other commands. */
export interface MeshFile {
  readonly pid: number;
  readonly http: string;
  readonly grpc: string;
  readonly keyFile: string;
  readonly processes: readonly {
    readonly service: string;
    readonly pid: number;
    readonly grpc?: string;
    readonly http?: string;
    readonly ops: string;
  }[];
}

/** A mesh that `thalamus up` started. */
export interface LaunchedMesh extends Mesh {
  /** host:port of the HTTP server of a service behind the gateway. */
  httpOf(service: string): string;
  /** Remote chat models of the fleet. */
  readonly remoteExperts: readonly string[];
  readonly launcher: RunningCommand;
  readonly readySeconds: number;
  /** Ends it without removing the data folder. */
  interrupt(signal?: NodeJS.Signals): Promise<CommandResult>;
}

/** How a mesh is launched. */
export interface LaunchOptions {
  /** An existing data folder; default: a new one, removed at the end. */
  readonly dataFolder?: string;
  readonly kafkaBrokers?: string | undefined;
  readonly arguments?: readonly string[];
}

/** Verbs against the mesh on a data folder. */
export function verbsOf(dataFolder: string): Pick<Mesh, 'run' | 'json'> {
  // Where --data names rows, the mesh is named by --mesh.
  const option = (verb: string | undefined) => (verb === 'compose' ? '--mesh' : '--data');
  const run: Mesh['run'] = (args, options) => thalamus([...args, option(args[0]), dataFolder], options);
  return {
    run,
    json: async <T>(args: readonly string[], options: RunOptions & { readonly exit?: number } = {}) => {
      const result = await run([...args, '--json'], options);
      if (result.exit !== (options.exit ?? 0))
        throw new Error(
          `thalamus ${args.join(' ')} ended with ${result.exit}: ${result.stderr}${result.stdout}`,
        );
      return JSON.parse(result.stdout) as T;
    },
  };
}

/** Starts `thalamus up` on free ports and waits for its ready line. */
export async function launchMesh(options: LaunchOptions = {}): Promise<LaunchedMesh> {
  const dataFolder = options.dataFolder ?? temporaryFolder('mesh');
  const kafka = options.kafkaBrokers === undefined ? [] : ['--kafka', options.kafkaBrokers];
  const launcher = startThalamus(
    [
      'up',
      '--json',
      '--data',
      dataFolder,
      '--port',
      '0',
      '--grpc-port',
      '0',
      ...kafka,
      ...(options.arguments ?? []),
    ],
    { timeoutMs: 600_000 },
  );
  const ready = await readyLine(launcher);
  const file = (): MeshFile => JSON.parse(readFileSync(join(dataFolder, 'mesh.json'), 'utf8')) as MeshFile;
  const of = (service: string) => {
    const row = file().processes.find((item) => item.service === service);
    if (!row) throw new Error(`No ${service} runs in this mesh.`);
    return row;
  };
  const interrupt = async (signal: NodeJS.Signals = 'SIGINT') => {
    launcher.child.kill(signal);
    return launcher.ended;
  };
  return {
    ...verbsOf(dataFolder),
    dataFolder,
    http: ready.http,
    grpc: ready.grpc,
    key: readFileSync(ready.keyFile, 'utf8').trim(),
    experts: ready.experts,
    remoteExperts: ready.remoteExperts,
    readySeconds: ready.seconds,
    services: ready.processes.map(({ service }) => service),
    launcher,
    pidOf: (service) => of(service).pid,
    addressOf: (service) => of(service).grpc ?? '',
    httpOf: (service) => of(service).http ?? '',
    interrupt,
    stop: async () => {
      const { exit, stderr } = await interrupt();
      if (exit !== 0) throw new Error(`The launcher ended with ${exit}: ${stderr}`);
      await expectNothingLeft(dataFolder);
      if (options.dataFolder === undefined) rmSync(dataFolder, { recursive: true, force: true });
    },
  };
}

interface ReadyLine extends MeshFile {
  readonly seconds: number;
  readonly experts: readonly string[];
  readonly remoteExperts: readonly string[];
}

async function readyLine(launcher: RunningCommand): Promise<ReadyLine> {
  const line = waitUntil('thalamus up has printed its ready line', () => firstLine(launcher), {
    timeoutMs: 120_000,
  });
  const failed = launcher.ended.then(({ exit, stderr, stdout }) => {
    throw new Error(`thalamus up ended with ${exit}: ${stderr}${stdout}`);
  });
  line.catch(() => undefined);
  failed.catch(() => undefined);
  return JSON.parse(await Promise.race([line, failed])) as ReadyLine;
}

function firstLine({ said }: RunningCommand): string | undefined {
  const end = said.stdout.indexOf('\n');
  return end < 0 ? undefined : said.stdout.slice(0, end);
}

/** Fails, with their command lines, when processes of a data folder are left after a short time. */
export async function expectNothingLeft(dataFolder: string, timeoutMs = 15_000): Promise<void> {
  let left: readonly ProcessRow[] = [];
  const isEmpty = () => {
    left = processesOf(dataFolder);
    return left.length === 0;
  };
  await waitUntil('no process of the mesh is left', isEmpty, { timeoutMs }).catch((cause: unknown) => {
    const rows = left.map(({ pid, command }) => `${pid} ${command}`).join('\n');
    throw new Error(`These processes are left:\n${rows}`, { cause });
  });
}
