import { ThalamusError } from '@thalamus/errors';
import { EventEmitter } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { LogStore } from './log-store.js';
import type { LogCall, LogReply, LogRequest, LogWorkerData } from './log-worker.js';

/** Id under which the opening of the file waits. */
const OPENING = 0;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

type Result<C extends LogCall> = ReturnType<LogStore[C]>;

/** Asks the worker thread that owns the SQLite connection. Emits `changed` when records may have been added. */
export class LogClient extends EventEmitter<{ changed: [] }> {
  private worker: Worker | undefined;
  private nextId = 1;
  private failure: ThalamusError | undefined;
  private readonly waiting = new Map<number, Waiting>();

  constructor(private readonly data: LogWorkerData) {
    super();
    this.setMaxListeners(0);
  }

  /** Opens the file. @throws EVENT_LOG_CORRUPT, CONFIG_INVALID */
  async open(): Promise<void> {
    makeFolder(this.data.file);
    const worker = new Worker(workerScript(), {
      workerData: this.data,
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: 4 },
    });
    this.worker = worker;
    try {
      await new Promise<void>((resolve, reject) => {
        this.waiting.set(OPENING, { resolve: () => undefined, reject });
        worker.on('message', (reply: LogReply) => {
          if (reply.kind === 'opened') resolve();
          this.receive(reply);
        });
        worker.on('error', (cause: unknown) => {
          this.breakDown(cause instanceof Error ? cause.message : String(cause));
        });
        worker.on('exit', (code) => {
          this.breakDown(`it ended with code ${code}`);
        });
      });
    } catch (fault) {
      this.worker = undefined;
      await worker.terminate();
      throw fault;
    } finally {
      this.waiting.delete(OPENING);
    }
    worker.unref();
  }

  /** Why the log cannot be used any more, if so. */
  get broken(): ThalamusError | undefined {
    return this.failure;
  }

  /** Calls the store in the worker. */
  call<C extends LogCall>(call: C, ...values: Parameters<LogStore[C]>): Promise<Result<C>> {
    const worker = this.worker;
    if (!worker || this.failure) {
      return Promise.reject(this.failure ?? new ThalamusError('INTERNAL', 'The event log is not open.'));
    }
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      worker.ref();
      worker.postMessage({ id, call, values } satisfies LogRequest);
    });
  }

  /** Lets calls that were made before end, then closes the file. */
  async close(): Promise<void> {
    const { worker } = this;
    if (!worker) return;
    await this.call('close').catch(() => undefined);
    this.worker = undefined;
    await worker.terminate();
  }

  private receive(reply: LogReply): void {
    if (reply.kind === 'changed') this.emit('changed');
    else if (reply.kind !== 'opened') {
      const waiting = this.waiting.get(reply.id);
      this.waiting.delete(reply.id);
      if (this.waiting.size === 0) this.worker?.unref();
      if (reply.kind === 'result') waiting?.resolve(reply.value);
      else {
        const error = new ThalamusError(reply.code, reply.message, { metadata: reply.metadata });
        if (reply.code === 'EVENT_LOG_CORRUPT') this.failure = error;
        waiting?.reject(error);
      }
    }
  }

  private breakDown(reason: string): void {
    if (this.worker) this.failure ??= new ThalamusError('INTERNAL', `The event log worker ended: ${reason}.`);
    const error = this.failure ?? new ThalamusError('CANCELLED', 'The event log has been closed.');
    for (const waiting of this.waiting.values()) waiting.reject(error);
    this.waiting.clear();
  }
}

function makeFolder(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
  } catch (cause) {
    throw new ThalamusError(
      'CONFIG_INVALID',
      `The folder of the event log ${file} cannot be made (${cause instanceof Error ? cause.message : String(cause)}); name another place, or remove what is in the way.`,
      { cause },
    );
  }
}

/** The compiled worker; tests that run from sources use the last build. */
function workerScript(): string {
  const beside = fileURLToPath(new URL('./log-worker.js', import.meta.url));
  return existsSync(beside)
    ? beside
    : fileURLToPath(new URL('../../dist/embedded/log-worker.js', import.meta.url));
}
