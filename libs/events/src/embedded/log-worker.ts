import { toThalamusError, type ErrorCode } from '@thalamus/errors';
import { parentPort, workerData } from 'node:worker_threads';
import { LogStore } from './log-store.js';

/** Names of the calls that the worker answers. */
export type LogCall =
  | 'ensureTopics'
  | 'append'
  | 'fetch'
  | 'ends'
  | 'offsetsSince'
  | 'heartbeat'
  | 'commit'
  | 'leave'
  | 'campaign'
  | 'resign'
  | 'close';

/** A call to the worker. */
export interface LogRequest {
  readonly id: number;
  readonly call: LogCall;
  readonly values: readonly unknown[];
}

/** What the worker says. */
export type LogReply =
  | { readonly kind: 'opened' }
  | { readonly kind: 'changed' }
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | {
      readonly kind: 'error';
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
      readonly metadata: Readonly<Record<string, string>>;
    };

/** What the worker is started with. */
export interface LogWorkerData {
  readonly file: string;
  readonly pollMs: number;
  readonly maxPages?: number;
}

/** Id of a reply that nobody waits for. */
const UNASKED = 0;
const SWEEP_MS = 60_000;
const port = parentPort;
if (!port) throw new Error('log-worker runs as a worker thread only');
const data = workerData as LogWorkerData;

function fail(id: number, fault: unknown): void {
  const error = toThalamusError(fault);
  const message =
    error.code === 'INTERNAL' && error.cause instanceof Error
      ? `The event log ${data.file} failed: ${error.cause.message}.`
      : error.message;
  port?.postMessage({
    kind: 'error',
    id,
    code: error.code,
    message,
    metadata: error.metadata,
  } satisfies LogReply);
}

try {
  serve(new LogStore(data.file, data.maxPages));
} catch (fault) {
  fail(UNASKED, fault);
}

function serve(store: LogStore): void {
  let version = store.dataVersion();
  const poll = setInterval(() => {
    try {
      const next = store.dataVersion();
      if (next !== version) port?.postMessage({ kind: 'changed' } satisfies LogReply);
      version = next;
    } catch (fault) {
      fail(UNASKED, fault);
    }
  }, data.pollMs);
  const sweep = setInterval(() => {
    try {
      store.sweep();
    } catch (fault) {
      // A full disk or a lock of another: the next round tries again.
      fail(UNASKED, fault);
    }
  }, SWEEP_MS);
  port?.on('message', ({ id, call, values }: LogRequest) => {
    try {
      if (call === 'close') {
        clearInterval(poll);
        clearInterval(sweep);
      }
      const value = (store[call] as (...parameters: readonly unknown[]) => unknown).apply(store, [...values]);
      port.postMessage({ kind: 'result', id, value } satisfies LogReply);
      if (call === 'close') port.close();
      else if (call === 'append') port.postMessage({ kind: 'changed' } satisfies LogReply);
    } catch (fault) {
      fail(id, fault);
    }
  });
  port?.postMessage({ kind: 'opened' } satisfies LogReply);
}
