import { ThalamusError, isErrorCode } from '@thalamus/errors';
import { fork, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Names of the services, which are also the names of their folders. */
export const SERVICES = [
  'updater',
  'expert-host',
  'router',
  'composer',
  'worker',
  'gateway',
  'replay',
] as const;
/** One of the services. */
export type ServiceName = (typeof SERVICES)[number];

/** What a service says to the one who started it. */
type ServiceMessage =
  { readonly kind: 'ready' } | { readonly kind: 'failed'; readonly code: string; readonly message: string };

/** How a service is started. */
export interface ServiceStart {
  readonly service: ServiceName;
  /** Its THALAMUS_* settings; nothing else of ours is passed on. */
  readonly settings: Readonly<Record<string, string>>;
  readonly logFolder: string;
}

/**
 * glibc gives large blocks back to the system as soon as they are free: what services need only while they start and load
 * models would else stay with them. Saves about 10 MiB a service.
 */
const MEMORY_SETTINGS = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072' };

/** A service may collect its garbage when a start or a model has left much. */
const MEMORY_FLAGS = ['--expose-gc'];

/**
 * MiB for short-lived objects. Little, as services stand idle most of the time; those that every request passes have more,
 * which saves them a good part of their garbage collections (docs/results/gateway-bench.md).
 */
const YOUNG_MIB = 2;
const YOUNG_MIB_OF: Partial<Record<ServiceName, number>> = { gateway: 16, router: 16 };

/** A running service. It ends with this process: its IPC channel closing makes it drain. */
export class ServiceProcess {
  /** Resolves with the exit code, or the signal's name. */
  readonly exited: Promise<number | string>;

  private constructor(
    readonly service: ServiceName,
    private readonly child: ChildProcess,
  ) {
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        resolve(signal ?? code ?? 1);
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /**
   * Starts a service; logs go to `<logFolder>/<service>.log`. Resolves when it is ready. Its own error comes back when
   * it cannot start; a service that ends without a word is INTERNAL with the place of its log.
   */
  static start(start: ServiceStart, timeoutMs = 60_000): { process: ServiceProcess; ready: Promise<void> } {
    mkdirSync(start.logFolder, { recursive: true });
    const logFile = join(start.logFolder, `${start.service}.log`);
    const log = openSync(logFile, 'a');
    const child = fork(entryPoint(start.service), [], {
      execArgv: [...telemetryOf(start.service), ...MEMORY_FLAGS, youngSpaceOf(start.service)],
      env: {
        ...MEMORY_SETTINGS,
        ...inherited(),
        ...start.settings,
        OTEL_SERVICE_NAME: `thalamus-${start.service}`,
      },
      stdio: ['ignore', log, log, 'ipc'],
      // Ctrl-C reaches only the launcher, which ends services in order.
      detached: true,
    });
    closeSync(log);
    const process_ = new ServiceProcess(start.service, child);
    const ready = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        const text = `The service ${start.service} was not ready within ${timeoutMs / 1000} s; see ${logFile}.`;
        reject(new ThalamusError('INTERNAL', text));
      }, timeoutMs);
      child.on('message', (message: ServiceMessage) => {
        clearTimeout(timer);
        if (message.kind === 'ready') resolve();
        else
          reject(new ThalamusError(isErrorCode(message.code) ? message.code : 'INTERNAL', message.message));
      });
      void process_.exited.then((how) => {
        clearTimeout(timer);
        reject(
          new ThalamusError(
            'INTERNAL',
            `The service ${start.service} ended (${how}) while starting; see ${logFile}.`,
          ),
        );
      });
    });
    return { process: process_, ready };
  }

  /** Asks it to drain; after `deadlineMs` it is killed. */
  async stop(deadlineMs: number): Promise<void> {
    this.signal('SIGTERM');
    const timer = setTimeout(() => {
      this.signal('SIGKILL');
    }, deadlineMs);
    await this.exited;
    clearTimeout(timer);
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }
}

/** The compiled main file of a service. */
export function entryPoint(service: ServiceName): string {
  return fileURLToPath(new URL(`../../../${service}/dist/main.js`, import.meta.url));
}

/** The replay upstream stands for a server of somebody else: it reports nothing, and stays small. */
function telemetryOf(service: ServiceName): readonly string[] {
  return service === 'replay' ? [] : ['--import', import.meta.resolve('@thalamus/telemetry/register')];
}

function youngSpaceOf(service: ServiceName): string {
  return `--max-semi-space-size=${YOUNG_MIB_OF[service] ?? YOUNG_MIB}`;
}

/** The environment without settings of ours: those that a service does not know are errors to it. */
function inherited(): Record<string, string> {
  // eslint-disable-next-line no-restricted-syntax -- services inherit PATH, OTEL_* and the like
  const environment = process.env;
  return Object.fromEntries(
    Object.entries(environment).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith('THALAMUS_'),
    ),
  );
}
