import { ChildProcessRuntime, type ChildProcessRuntimeOptions } from './child-process-runtime.js';
import type { InferenceRuntime } from './inference-runtime.port.js';

/** How the processes of a pool behave. */
export interface ChildProcessPoolOptions extends Omit<
  ChildProcessRuntimeOptions,
  'name' | 'onEmpty' | 'onCrash'
> {
  /**
   * Resident memory that a process may have besides twice its weights and rows, bytes: one with more is exchanged for a new one. Twice,
   * since ONNX Runtime keeps weights in its own order too. Default 384 MiB.
   */
  readonly slackBytes?: number;
  /** How often that is looked at. Default 5,000 ms. */
  readonly checkMs?: number;
  /** Told whenever the process of a model ended without being asked to. */
  readonly onCrash?: (name: string, reason: string) => void;
  /** Told that a process is exchanged because of what it kept. */
  readonly onRecycle?: (process: PooledProcess) => void;
}

/** One process of a pool. */
export interface PooledProcess {
  /** What runs in it. */
  readonly name: string;
  /** Process id; undefined while it is started again. */
  readonly pid: number | undefined;
  /** Bytes of the weights and rows that are open in it. */
  readonly openBytes: number;
  /** Resident memory, bytes; undefined where the system does not say. */
  readonly residentBytes: number | undefined;
}

const SLACK_BYTES = 384 * 2 ** 20;
const CHECK_MS = 5_000;

/**
 * Runtimes in processes of their own, so that a model that crashes, hangs or takes memory takes nobody else down. Processes whose
 * memory drifts from what is open in them are exchanged.
 */
export class ChildProcessPool {
  private readonly runtimes = new Map<ChildProcessRuntime, string>();
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(private readonly options: ChildProcessPoolOptions = {}) {}

  /** A runtime for models that stand and fall together. It leaves the pool when the last of them is released. */
  open(name: string): InferenceRuntime {
    const { onCrash } = this.options;
    const runtime = new ChildProcessRuntime({
      ...this.options,
      name,
      onCrash: (reason) => onCrash?.(name, reason),
      onEmpty: () => this.runtimes.delete(runtime),
    });
    this.runtimes.set(runtime, name);
    if (this.closed) void runtime.close();
    else this.timer ??= setInterval(() => void this.check(), this.options.checkMs ?? CHECK_MS).unref();
    return runtime;
  }

  /** The processes that are there now. */
  get processes(): PooledProcess[] {
    return [...this.runtimes].map(([{ pid, openBytes, residentBytes }, name]) => ({
      name,
      pid,
      openBytes,
      residentBytes,
    }));
  }

  /** Ends all processes, after runs in flight for as long as a runtime lets them. */
  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.timer);
    await Promise.all([...this.runtimes.keys()].map((runtime) => runtime.close()));
  }

  private async check(): Promise<void> {
    for (const [runtime, name] of this.runtimes) {
      const { pid, openBytes, residentBytes = 0 } = runtime;
      if (residentBytes <= 2 * openBytes + (this.options.slackBytes ?? SLACK_BYTES)) continue;
      this.options.onRecycle?.({ name, pid, openBytes, residentBytes });
      // A process that cannot be started again says so in the runs that wait for it.
      await runtime.recycle().catch(() => undefined);
    }
  }
}
