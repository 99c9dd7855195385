import { ThalamusError } from '@thalamus/errors';
import { fork, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { CompositionTask, MadeComposition } from '../composition-task.js';
import type { OnProgress } from '../progress.js';
import type { ProbeTask } from '../probe/probe-quality.js';
import type { QualityEstimate } from '../probe/quality-estimate.js';
import type { MakingReply, MakingRequest } from './making-protocol.js';

/** How the process is watched. */
export interface ProcessCompositionMakerOptions {
  /** A process that says nothing for so long is killed, milliseconds. */
  readonly stallMs: number;
}

/** Makes each composition in a process of its own, which ends with it: whoever waits holds no runtime, and can end it at any time. */
export class ProcessCompositionMaker {
  private readonly running = new Set<ChildProcess>();

  constructor(private readonly options: ProcessCompositionMakerOptions) {}

  /** Process ids of what runs. */
  get pids(): readonly number[] {
    return [...this.running].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  /**
   * Makes a composition; the signal ends the process at once, and is told of when the process has gone: nothing writes into a folder
   * any more that is then removed.
   * @throws as `makeComposition`, EXPERT_CRASHED, the reason of the signal
   */
  async make(task: CompositionTask, onProgress: OnProgress, signal: AbortSignal): Promise<MadeComposition> {
    const last = await this.run({ kind: 'make', task }, signal, (reply) => {
      if (reply.kind === 'progress') onProgress(reply.progress);
    });
    if (last.kind === 'made') return last.made;
    throw crashed('it ended without a composition', last.kind);
  }

  /**
   * Estimates what the tasks of a recipe would keep; after `deadlineMs` the process is ended, and the best that it had told by then
   * stands. Undefined: it had told nothing.
   * @throws as `probeQuality`, EXPERT_CRASHED, the reason of the signal
   */
  async probe(
    task: ProbeTask,
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<QualityEstimate | undefined> {
    let estimate: QualityEstimate | undefined;
    const deadline = AbortSignal.timeout(Math.max(1, Math.round(deadlineMs)));
    try {
      await this.run({ kind: 'probe', task }, AbortSignal.any([signal, deadline]), (reply) => {
        if (reply.kind === 'estimate') estimate = reply.estimate;
      });
    } catch (fault) {
      if (!deadline.aborted || signal.aborted) throw fault;
    }
    return estimate;
  }

  /** Runs a process to its last word. */
  private async run(
    request: MakingRequest,
    signal: AbortSignal,
    onReply: (reply: MakingReply) => void,
  ): Promise<MakingReply> {
    signal.throwIfAborted();
    const child = fork(childScript(), [], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: ['--max-semi-space-size=2'],
    });
    this.running.add(child);
    return new Promise<MakingReply>((resolve, reject) => {
      let reason = 'it ended without an answer';
      let isAborted = false;
      let stall: NodeJS.Timeout | undefined;
      const watch = () => {
        clearTimeout(stall);
        stall = setTimeout(() => {
          reason = `it said nothing for ${this.options.stallMs} ms`;
          child.kill('SIGKILL');
        }, this.options.stallMs);
      };
      const onAbort = () => {
        isAborted = true;
        child.kill('SIGKILL');
      };
      const end = (how: string) => {
        clearTimeout(stall);
        signal.removeEventListener('abort', onAbort);
        this.running.delete(child);
        reject(isAborted ? (signal.reason as Error) : crashed(reason, how));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      child.once('exit', (code, name) => {
        end(name ?? `exit code ${code ?? 'unknown'}`);
      });
      // A process that could not be started has no exit.
      child.on('error', (error) => {
        if (child.pid === undefined) end(error.message);
      });
      child.on('message', (reply: MakingReply) => {
        if (isAborted) return;
        watch();
        if (reply.kind === 'failed')
          reject(new ThalamusError(reply.code, reply.message, { violations: reply.violations }));
        else if (reply.kind === 'made' || reply.kind === 'probed') resolve(reply);
        else onReply(reply);
      });
      watch();
      child.send(request);
    });
  }

  /** Ends what runs, and resolves when it has ended. */
  async close(): Promise<void> {
    const ended = [...this.running].map((child) => new Promise((resolve) => child.once('exit', resolve)));
    for (const child of this.running) child.kill('SIGKILL');
    await Promise.all(ended);
  }
}

function crashed(reason: string, how: string): ThalamusError {
  return new ThalamusError(
    'EXPERT_CRASHED',
    `The composing process failed: ${reason} (${how}). Nothing was kept; see its log, and try again with more memory.`,
  );
}

/** The compiled script of the process; tests that run from sources use the last build. */
function childScript(): string {
  const beside = fileURLToPath(new URL('./making-main.js', import.meta.url));
  return existsSync(beside)
    ? beside
    : fileURLToPath(new URL('../../dist/child/making-main.js', import.meta.url));
}
