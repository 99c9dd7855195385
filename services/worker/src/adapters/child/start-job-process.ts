import { ThalamusError } from '@thalamus/errors';
import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type {
  JobProcessReply,
  JobProcessRequest,
  JobWork,
  RunningWork,
  WorkObserver,
  WorkResult,
} from '../../application/job-process.port.js';

/**
 * Starts the process of one job: ONNX Runtime and number crunching live and die there. It ends with its worker, however
 * that ends, because its channel closes.
 */
export function startJobProcess(work: JobWork, observer: WorkObserver): RunningWork {
  const child = fork(childScript(), [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] });
  const send = (request: JobProcessRequest) => {
    // A process that has gone says so by its exit.
    if (child.connected) child.send(request, () => undefined);
  };
  const result = new Promise<WorkResult>((resolve, reject) => {
    child.on('message', (reply: JobProcessReply) => {
      switch (reply.kind) {
        case 'progress':
          observer.onProgress(reply.progress);
          return;
        case 'training':
          observer.onTraining(reply.report);
          return;
        case 'checkpointed':
          observer.onCheckpoint(reply.role);
          return;
        case 'done':
          resolve(reply.result);
          return;
        case 'failed':
          reject(new ThalamusError(reply.code, reply.message));
      }
    });
    child.once('error', (cause) => {
      reject(crashed('it could not be started', cause));
    });
    // Messages may still be on their way after 'exit', but none comes after the channel has closed.
    const closed = new Promise<void>((resolve) => child.once('disconnect', resolve));
    child.once('exit', (code, signal) => {
      void closed.then(() => {
        reject(crashed(signal ?? `exit code ${code ?? 'unknown'}`));
      });
    });
  });
  send({ kind: 'start', work });
  return {
    result,
    requestCheckpoint: () => {
      send({ kind: 'checkpoint' });
    },
    kill: () => {
      child.kill('SIGKILL');
    },
  };
}

function crashed(reason: string, cause?: unknown): ThalamusError {
  return new ThalamusError(
    'EXPERT_CRASHED',
    `The process that did the work ended (${reason}), perhaps for want of memory; the log of the worker says more.`,
    { cause },
  );
}

/** The compiled script of the process; tests that run from sources use the last build. */
function childScript(): string {
  const beside = fileURLToPath(new URL('../../child/job-main.js', import.meta.url));
  return existsSync(beside)
    ? beside
    : fileURLToPath(new URL('../../../dist/child/job-main.js', import.meta.url));
}
