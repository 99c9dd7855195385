import { ThalamusError } from '@thalamus/errors';
import { spawn, type ChildProcess } from 'node:child_process';
import type { ChildReply, ChildRequest, ChildRequestBody, ReplyOf } from './child-protocol.js';
import { childScript } from './child-script.js';
import { limitedCommand, residentBytesOf, sacrificeFirst } from './process-limits.js';

interface Pending {
  readonly resolve: (reply: ChildReply) => void;
  readonly reject: (error: ThalamusError) => void;
  readonly giveUp: () => void;
  readonly timeoutMs: number;
  /** Runs once every call before this one has been answered. */
  timer: NodeJS.Timeout | undefined;
}

const NODE_FLAGS = ['--max-semi-space-size=2', '--expose-gc'];
const CAUSE = 'cause';
const HUNG = 'hung';
/** How long a process that does nothing may take to end. */
const STOP_MS = 1_000;
/** What a process is asked for besides runs. */
const WORK = {
  load: 'load the model',
  table: 'make the table',
  row: 'take the row',
  drop: 'free the table',
  prepare: 'load its library',
  name: 'take its name',
  release: 'free the model',
} as const;

/** Processes that have not ended: none outlives this one, whatever it runs. */
const LIVING = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of LIVING) child.kill('SIGKILL');
});

/** What a child is given. */
export interface ChildOptions {
  /** What runs in it, as lists of processes show it. */
  readonly name?: string | undefined;
  /** Private memory that it may have, bytes. Default: no limit of its own. */
  readonly dataLimitBytes?: number | undefined;
}

/** One child process that holds ONNX Runtime sessions: requests by number, many in flight, until it ends. */
export class InferenceChild {
  private readonly process: ChildProcess;
  private readonly pending = new Map<number, Pending>();
  private nextId = 1;
  private ended = false;
  private reasonToKill: string | undefined;
  /** The call that was given up. */
  private hung: { readonly id: number; readonly error: ThalamusError } | undefined;
  private readonly exit: Promise<void>;

  /** Starts the process. `onExit` is told once why it ended, after every call in flight has failed. */
  constructor(onExit: (reason: string) => void, { name = '', dataLimitBytes }: ChildOptions = {}) {
    const script = { file: process.execPath, args: [...NODE_FLAGS, childScript('child-main'), name] };
    const { file, args } = limitedCommand(script, dataLimitBytes);
    this.process = spawn(file, args, {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: childEnvironment(),
    });
    if (this.process.pid !== undefined) {
      LIVING.add(this.process);
      sacrificeFirst(this.process.pid);
    }
    this.exit = new Promise((resolve) => {
      const end = (reason: string) => {
        if (this.ended) return;
        this.ended = true;
        for (const id of [...this.pending.keys()]) this.take(id)?.reject(this.endOf(id, reason));
        LIVING.delete(this.process);
        onExit(reason);
        resolve();
      };
      this.process.once('exit', (code, signal) => {
        end(this.reasonToKill ?? signal ?? `exit code ${code ?? 'unknown'}`);
      });
      // A process that could not be started has no exit.
      this.process.once('error', (error) => {
        if (this.process.pid === undefined) end(error.message);
      });
    });
    this.process.on('message', (reply: ChildReply) => {
      this.settle(reply);
    });
  }

  /** Process id; undefined when it could not be started. */
  get pid(): number | undefined {
    return this.process.pid;
  }

  /** Resident memory, bytes; undefined where the system does not say. */
  get residentBytes(): number | undefined {
    return this.pid === undefined || this.ended ? undefined : residentBytesOf(this.pid);
  }

  /** Calls that have no answer yet. */
  get inFlight(): number {
    return this.pending.size;
  }

  /**
   * Asks for one thing. A call without an answer after `timeoutMs` is a hang: the process is killed. The process does one thing after
   * the other, so that the time of a call begins when those before it have been answered.
   */
  async ask<K extends ChildReply['kind']>(
    kind: K,
    body: ChildRequestBody,
    timeoutMs: number,
  ): Promise<ReplyOf<K>> {
    if (this.ended) throw crashed('it has ended');
    const id = this.nextId++;
    const reply = await new Promise<ChildReply>((resolve, reject) => {
      const giveUp = () => {
        // Others that wait behind it are not at fault.
        this.hung ??= { id, error: tookTooLong(body.kind, timeoutMs) };
        this.kill(`no answer within ${timeoutMs} ms`);
      };
      this.pending.set(id, { resolve, reject, giveUp, timeoutMs, timer: undefined });
      this.watchOldest();
      const request = { id, ...body } as ChildRequest;
      this.process.send(request, (error) => {
        // The channel breaks before its exit is known: whoever asked again now would meet the same process.
        if (error) this.process.kill('SIGKILL');
      });
    });
    if (reply.kind !== kind)
      throw new ThalamusError('INTERNAL', `The inference process answered ${body.kind} with ${reply.kind}.`);
    return reply as ReplyOf<K>;
  }

  /** Lets calls in flight end, for at most `graceMs`, then ends the process. */
  async stop(graceMs: number): Promise<void> {
    // Calls that were made before this one are on their way.
    await new Promise(setImmediate);
    const until = performance.now() + graceMs;
    while (this.pending.size > 0 && !this.ended && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 5));
    // A run holds the thread that would hear of the end.
    if (this.pending.size > 0) this.kill('it was told to end before its run had');
    else if (this.process.connected) this.process.disconnect();
    const timer = setTimeout(() => {
      this.kill('it did not stop when it was asked to');
    }, STOP_MS);
    await this.exit;
    clearTimeout(timer);
  }

  private endOf(id: number, reason: string): ThalamusError {
    return this.hung?.id === id ? this.hung.error : crashed(reason);
  }

  private kill(reason: string): void {
    this.reasonToKill ??= reason;
    this.process.kill('SIGKILL');
  }

  private settle(reply: ChildReply): void {
    const waiting = this.take(reply.id);
    if (!waiting) return;
    if (reply.kind === 'failed') {
      const { code, message, violations } = reply;
      waiting.reject(new ThalamusError(code, message, { violations }));
    } else waiting.resolve(reply);
  }

  private take(id: number): Pending | undefined {
    const waiting = this.pending.get(id);
    this.pending.delete(id);
    clearTimeout(waiting?.timer);
    this.watchOldest();
    return waiting;
  }

  private watchOldest(): void {
    const [oldest] = this.pending.values();
    if (oldest && !this.ended) oldest.timer ??= setTimeout(oldest.giveUp, oldest.timeoutMs);
  }
}

/** The error of a call that was given up, and its process with it. */
function tookTooLong(kind: ChildRequestBody['kind'], timeoutMs: number): ThalamusError {
  const text =
    kind === 'run'
      ? `The model gave no answer within ${timeoutMs} ms, so its process was ended; send less at once, or raise THALAMUS_RUN_TIMEOUT_MS.`
      : `The inference process did not ${WORK[kind]} within ${timeoutMs} ms, so it was ended; the model may be too large for this machine.`;
  return new ThalamusError('EXPERT_CRASHED', text, { metadata: { [CAUSE]: HUNG } });
}

/** Whether this is the error of a call that took too long. */
export function isHung(error: ThalamusError): boolean {
  return error.metadata[CAUSE] === HUNG;
}

/** Whether a run may be tried again: its process ended, and not because this run took too long. */
export function isWorthAnotherRun(error: unknown): boolean {
  return ThalamusError.is(error) && error.code === 'EXPERT_CRASHED' && !isHung(error);
}

/** The error of a call that was in flight when the process ended. */
function crashed(reason: string): ThalamusError {
  return new ThalamusError(
    'EXPERT_CRASHED',
    `The process that ran the model ended (${reason}); it is started again, try once more.`,
    { retryAfterMs: 500 },
  );
}

/**
 * The parent's environment, with large blocks of memory taken from and given back to the system one by one (glibc): what
 * ONNX Runtime needs only while it loads a model would else stay with the process. Saves 17 MiB of 141 for the zoo's base.
 */
function childEnvironment(): NodeJS.ProcessEnv {
  // eslint-disable-next-line no-restricted-syntax -- passed on as it is, nothing is read from it
  return { MALLOC_MMAP_THRESHOLD_: '65536', ...process.env };
}
