import { ThalamusError } from '@thalamus/errors';
import { fork, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Tensor } from '@thalamus/tensor';
import type { ChildReply, ChildRequest } from './child-protocol.js';
import type {
  Feeds,
  InferenceRuntime,
  InferenceSession,
  ModelSource,
  RunOptions,
  SessionOptions,
  SessionValue,
} from './inference-runtime.port.js';

/** How the runtime behaves. */
export interface ChildProcessRuntimeOptions {
  /** A run that takes longer is a hang: the child is killed. Default 30,000 ms. */
  readonly runTimeoutMs?: number;
  /** Calls that may wait for the child at once. Default 1,024. */
  readonly maxPending?: number;
  /** Told whenever the child ended without being asked to. */
  readonly onCrash?: (reason: string) => void;
}

interface Pending {
  readonly resolve: (reply: ChildReply) => void;
  readonly reject: (error: ThalamusError) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

type RequestBody = ChildRequest extends infer R ? (R extends ChildRequest ? Omit<R, 'id'> : never) : never;

/**
 * ONNX Runtime in a child process. When the child dies, calls in flight fail with EXPERT_CRASHED, a new child starts at
 * once and every open session is loaded again; calls made meanwhile wait for that. A hung run kills the child.
 */
export class ChildProcessRuntime implements InferenceRuntime {
  private child: ChildProcess | undefined;
  private starting: Promise<void> | undefined;
  private closing = false;
  private nextId = 1;
  private nextSession = 1;
  private readonly pending = new Map<number, Pending>();
  private readonly open = new Map<
    number,
    { readonly source: ModelSource; readonly options: SessionOptions }
  >();
  private crashes = 0;

  constructor(private readonly options: ChildProcessRuntimeOptions = {}) {}

  /** How often the child ended without being asked to. */
  get crashCount(): number {
    return this.crashes;
  }

  /** Process id of the child; undefined while there is none. */
  get pid(): number | undefined {
    return this.child?.pid;
  }

  async load(source: ModelSource, options: SessionOptions = {}): Promise<InferenceSession> {
    const session = this.nextSession++;
    await this.ensureChild();
    const reply = await this.send({ kind: 'load', session, source, options }, 120_000);
    if (reply.kind !== 'loaded')
      throw new ThalamusError('INTERNAL', 'The inference process answered a load with something else.');
    this.open.set(session, { source, options });
    return this.handle(session, reply.inputs, reply.outputs);
  }

  async close(): Promise<void> {
    this.closing = true;
    const child = this.child;
    if (!child) return;
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => {
        resolve();
      });
    });
    child.disconnect();
    const timer = setTimeout(() => child.kill('SIGKILL'), 2_000);
    await ended;
    clearTimeout(timer);
  }

  private handle(
    session: number,
    inputs: readonly SessionValue[],
    outputs: readonly SessionValue[],
  ): InferenceSession {
    return {
      inputs,
      outputs,
      run: (feeds, options) => this.run(session, feeds, options ?? {}),
      release: async () => {
        this.open.delete(session);
        if (this.child) await this.send({ kind: 'release', session }, 10_000);
      },
    };
  }

  private async run(
    session: number,
    feeds: Feeds,
    options: RunOptions,
  ): Promise<Readonly<Record<string, Tensor>>> {
    if (!this.open.has(session))
      throw new ThalamusError('EXPERT_NOT_READY', 'The model has been unloaded; ask for it again.');
    if (this.pending.size >= (this.options.maxPending ?? 1_024)) {
      throw new ThalamusError(
        'EXPERT_OVERLOADED',
        'Too many runs wait for the inference process; try again in a moment.',
        { retryAfterMs: 200 },
      );
    }
    await this.ensureChild();
    const timeoutMs = options.timeoutMs ?? this.options.runTimeoutMs ?? 30_000;
    const reply = await this.send({ kind: 'run', session, feeds, outputs: options.outputs }, timeoutMs);
    if (reply.kind !== 'ran')
      throw new ThalamusError('INTERNAL', 'The inference process answered a run with something else.');
    return reply.outputs;
  }

  private ensureChild(): Promise<void> {
    if (this.closing)
      return Promise.reject(new ThalamusError('EXPERT_NOT_READY', 'The inference process is shutting down.'));
    if (this.child) return this.starting ?? Promise.resolve();
    this.starting = this.startChild().finally(() => {
      this.starting = undefined;
    });
    return this.starting;
  }

  private async startChild(): Promise<void> {
    const child = fork(childScript(), [], {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: ['--max-semi-space-size=2'],
    });
    this.child = child;
    child.on('message', (reply: ChildReply) => {
      this.settle(reply);
    });
    child.once('exit', (code, signal) => {
      this.onExit(child, signal ?? `exit code ${code ?? 'unknown'}`);
    });
    child.once('error', () => undefined);
    for (const [session, { source, options }] of this.open)
      await this.send({ kind: 'load', session, source, options }, 120_000);
  }

  private send(body: RequestBody, timeoutMs: number): Promise<ChildReply> {
    const child = this.child;
    if (!child) return Promise.reject(crashed('it is not running'));
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
      }, timeoutMs);
      this.pending.set(id, { resolve, reject, timer });
      child.send({ id, ...body } as ChildRequest, (error) => {
        if (error) this.fail(id, crashed(error.message));
      });
    });
  }

  private settle(reply: ChildReply): void {
    const waiting = this.pending.get(reply.id);
    if (!waiting) return;
    this.pending.delete(reply.id);
    clearTimeout(waiting.timer);
    if (reply.kind === 'failed') waiting.reject(new ThalamusError(reply.code, reply.message));
    else waiting.resolve(reply);
  }

  private fail(id: number, error: ThalamusError): void {
    const waiting = this.pending.get(id);
    if (!waiting) return;
    this.pending.delete(id);
    clearTimeout(waiting.timer);
    waiting.reject(error);
  }

  private onExit(child: ChildProcess, reason: string): void {
    if (this.child !== child) return;
    this.child = undefined;
    for (const id of [...this.pending.keys()]) this.fail(id, crashed(reason));
    if (this.closing) return;
    this.crashes += 1;
    this.options.onCrash?.(reason);
    // Warm again before the next request; a failure here shows up in that request.
    this.ensureChild().catch(() => undefined);
  }
}

function crashed(reason: string): ThalamusError {
  return new ThalamusError(
    'EXPERT_CRASHED',
    `The process that ran the model ended (${reason}); it is started again, try once more.`,
    { retryAfterMs: 500 },
  );
}

/** The compiled script of the child; tests that run from sources use the last build. */
function childScript(): string {
  const beside = fileURLToPath(new URL('./child-main.js', import.meta.url));
  return existsSync(beside) ? beside : fileURLToPath(new URL('../dist/child-main.js', import.meta.url));
}
