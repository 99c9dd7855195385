import { ThalamusError } from '@thalamus/errors';
import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type {
  Derivation,
  DerivingTask,
  GraphDeriver,
  WrittenGraph,
} from '../../application/graph-deriver.port.js';
import type { DerivingReply, DerivingRequest } from './deriving-protocol.js';

/** How long a graph may take, milliseconds; a base of 30 MB takes about one second. */
const TIMEOUT_MS = 120_000;

/** Derives each graph in a process of its own, which ends with it: what decoding a model leaves behind does not stay. */
export class ProcessGraphDeriver implements GraphDeriver {
  constructor(private readonly timeoutMs = TIMEOUT_MS) {}

  derive<K extends Derivation>(task: DerivingTask & { readonly what: K }): Promise<WrittenGraph<K>> {
    const child = fork(childScript(), [], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [],
    });
    return new Promise((resolve, reject) => {
      let reason = 'it ended without an answer';
      const timer = setTimeout(() => {
        reason = `no answer within ${this.timeoutMs} ms`;
        child.kill('SIGKILL');
      }, this.timeoutMs);
      const end = (how: string) => {
        clearTimeout(timer);
        reject(crashed(task, `${reason}, ${how}`));
      };
      child.once('exit', (code, signal) => {
        end(signal ?? `exit code ${code ?? 'unknown'}`);
      });
      // A process that could not be started has no exit.
      child.once('error', (error) => {
        if (child.pid === undefined) end(error.message);
      });
      child.once('message', (reply: DerivingReply) => {
        clearTimeout(timer);
        // The facts are those of what was asked for.
        if (reply.kind === 'written') resolve(reply.written as WrittenGraph<K>);
        else reject(new ThalamusError(reply.code, reply.message, { violations: reply.violations }));
      });
      child.send({ task } satisfies DerivingRequest, (error) => {
        if (error) end(error.message);
      });
    });
  }
}

function crashed({ what, bundleFolder }: DerivingTask, reason: string): ThalamusError {
  return new ThalamusError(
    'EXPERT_CRASHED',
    `The process that derives ${what} from ${bundleFolder} failed (${reason}); it is tried again, give the host more memory if it goes on.`,
    { retryAfterMs: 1_000 },
  );
}

/** The compiled script of the process; tests that run from sources use the last build. */
function childScript(): string {
  const beside = fileURLToPath(new URL('./deriving-main.js', import.meta.url));
  return existsSync(beside)
    ? beside
    : fileURLToPath(new URL('../../../dist/adapters/child/deriving-main.js', import.meta.url));
}
