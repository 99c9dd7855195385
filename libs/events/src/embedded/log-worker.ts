import { toThalamusError, type ErrorCode } from '@thalamus/errors';
import { parentPort, workerData } from 'node:worker_threads';
import { LogStore } from './log-store.js';

/** Names of the calls that the worker answers. */
export type LogCall =
  | 'ensureTopics'
  | 'append'
  | 'fetch'
  | 'ends'
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
  fail(0, fault);
}

function serve(store: LogStore): void {
  let version = store.dataVersion();
  const poll = setInterval(() => {
    const next = store.dataVersion();
    if (next !== version) port?.postMessage({ kind: 'changed' } satisfies LogReply);
    version = next;
  }, data.pollMs);
  const sweep = setInterval(() => {
    store.sweep();
  }, SWEEP_MS);
  port?.on('message', (request: LogRequest) => {
    try {
      const method = store[request.call] as (...values: readonly unknown[]) => unknown;
      if (request.call === 'close') {
        clearInterval(poll);
        clearInterval(sweep);
      }
      const value = method.apply(store, request.values as unknown[]);
      port.postMessage({ kind: 'result', id: request.id, value } satisfies LogReply);
      if (request.call === 'close') port.close();
      else if (request.call === 'append') port.postMessage({ kind: 'changed' } satisfies LogReply);
    } catch (fault) {
      fail(request.id, fault);
    }
  });
  port?.postMessage({ kind: 'opened' } satisfies LogReply);
}
