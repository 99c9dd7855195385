import { ChildProcessRuntime, type ChildProcessRuntimeOptions } from './child-process-runtime.js';
import type { InferenceRuntime } from './inference-runtime.port.js';
import type { ExchangeReason } from './kept-child.js';
import { SpareChild } from './spare-child.js';

/** How the processes of a pool behave. */
export interface ChildProcessPoolOptions extends Omit<
  ChildProcessRuntimeOptions,
  'name' | 'onStart' | 'onEmpty' | 'onCrash' | 'onExchange' | 'takeSpare'
> {
  /** How often the memory of the processes is looked at. Default 5,000 ms. */
  readonly checkMs?: number;
  /**
   * How long a process that was started ahead may wait for a model. There is one only while models come and go: after a process
   * was started within this time after another had ended, or ended unasked. 0 for none at all. Default 60,000 ms.
   */
  readonly spareMs?: number;
  /** Asked before a process is started ahead. Default: yes. */
  readonly maySpare?: () => boolean;
  /** Told whenever the process of a model ended without being asked to. */
  readonly onCrash?: (name: string, reason: string) => void;
  /** Told that a process is exchanged because of what it kept. */
  readonly onRecycle?: (process: PooledProcess, reason: ExchangeReason) => void;
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
  /** Whether it is a second one of a busy model, which may end at any time. */
  readonly isRelief: boolean;
}

const CHECK_MS = 5_000;
const SPARE_MS = 60_000;

/**
 * Runtimes in processes of their own, so that a model that crashes, hangs or takes memory takes nobody else down. Processes whose
 * memory drifts from what their models need are exchanged.
 */
export class ChildProcessPool {
  private readonly runtimes = new Map<ChildProcessRuntime, string>();
  private timer: NodeJS.Timeout | undefined;
  private closed = false;
  private readonly spare: SpareChild;
  private readonly spareMs: number;
  /** When a process last ended, since its models were let go or by itself. */
  private lastEnd = -Infinity;

  constructor(private readonly options: ChildProcessPoolOptions = {}) {
    this.spareMs = options.spareMs ?? SPARE_MS;
    this.spare = new SpareChild({ dataLimitBytes: options.dataLimitBytes, idleMs: this.spareMs });
  }

  /** A runtime for models that stand and fall together: in the pool from its first model until the last of them is released. */
  open(name: string): InferenceRuntime {
    const { onCrash, onRecycle, ...options } = this.options;
    const runtime = new ChildProcessRuntime({
      ...options,
      name,
      takeSpare: (onExit) => this.spare.take(onExit),
      onStart: () => {
        this.runtimes.set(runtime, name);
        this.hasStarted();
        if (this.closed) void runtime.close();
      },
      onCrash: (reason) => {
        this.lastEnd = performance.now();
        onCrash?.(name, reason);
      },
      onExchange: (reason, pid, residentBytes) =>
        onRecycle?.({ name, pid, openBytes: runtime.openBytes, residentBytes, isRelief: false }, reason),
      onEmpty: () => {
        this.lastEnd = performance.now();
        this.runtimes.delete(runtime);
      },
    });
    if (this.closed) void runtime.close();
    else this.timer ??= setInterval(() => this.check(), options.checkMs ?? CHECK_MS).unref();
    return runtime;
  }

  /** Resident memory of the process that waits for a model, bytes; 0 while there is none. */
  get spareBytes(): number {
    return this.spare.residentBytes ?? 0;
  }

  /** Ends the process that waits for a model. */
  endSpare(): void {
    void this.spare.end();
  }

  /** Ends the second processes of busy models, each after what it runs. */
  endRelief(): void {
    for (const runtime of this.runtimes.keys()) runtime.endRelief();
  }

  /** The processes that are there now and run models. */
  get processes(): PooledProcess[] {
    return [...this.runtimes].flatMap(([{ pid, openBytes, residentBytes, relieving }, name]) => [
      { name, pid, openBytes, residentBytes, isRelief: false },
      ...relieving.map((other) => ({
        name,
        openBytes,
        pid: other.pid,
        residentBytes: other.residentBytes,
        isRelief: true,
      })),
    ]);
  }

  /** Loads what is open once more, each process when it can: what `session` of the options says has changed. */
  loadAnew(): void {
    for (const runtime of this.runtimes.keys()) runtime.loadAnew();
  }

  /** Ends all processes, after runs in flight for as long as a runtime lets them. */
  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.timer);
    await Promise.all([this.spare.close(), ...[...this.runtimes.keys()].map((runtime) => runtime.close())]);
  }

  /** A process that starts soon after another has ended is a sign that more will. */
  private hasStarted(): void {
    const { maySpare } = this.options;
    if (performance.now() - this.lastEnd < this.spareMs && (maySpare?.() ?? true)) this.spare.prepare();
  }

  private check(): void {
    for (const runtime of this.runtimes.keys()) runtime.checkMemory();
  }
}
