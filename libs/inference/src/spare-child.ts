import { InferenceChild, type ChildOptions } from './inference-child.js';

/** How long a process may take until it holds the library, milliseconds. */
const PREPARE_TIMEOUT_MS = 30_000;

/** How a spare is kept. */
export interface SpareOptions extends ChildOptions {
  /** A spare that nobody took for so long is ended, milliseconds. */
  readonly idleMs: number;
}

interface Spare {
  readonly child: InferenceChild;
  /** Told of its end, once it is somebody's. */
  onExit: ((reason: string) => void) | undefined;
}

/**
 * At most one process that holds the library of models and no model, started ahead: who takes it need not wait for either to
 * start. It has run nothing, so that whoever gets it gets as much as a new one.
 */
export class SpareChild {
  private spare: Spare | undefined;
  private idle: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(private readonly options: SpareOptions) {}

  /** Process id; undefined while there is none. */
  get pid(): number | undefined {
    return this.spare?.child.pid;
  }

  /** Resident memory, bytes; undefined while there is none. */
  get residentBytes(): number | undefined {
    return this.spare?.child.residentBytes;
  }

  /** Starts a process unless there is one; the time until it is ended begins again. */
  prepare(): void {
    if (this.closed) return;
    clearTimeout(this.idle);
    this.idle = setTimeout(() => void this.end(), this.options.idleMs).unref();
    if (this.spare) return;
    const child = new InferenceChild((reason) => {
      if (this.spare === spare) this.spare = undefined;
      spare.onExit?.(reason);
    }, this.options);
    const spare: Spare = { child, onExit: undefined };
    this.spare = spare;
    // One that cannot hold the library ends, or says so to the first that loads a model in it.
    child.ask('prepared', { kind: 'prepare' }, PREPARE_TIMEOUT_MS).catch(() => undefined);
  }

  /** The process, which is the caller's from now on: `onExit` is told of its end. Undefined when there is none. */
  take(onExit: (reason: string) => void): InferenceChild | undefined {
    const { spare } = this;
    this.spare = undefined;
    clearTimeout(this.idle);
    if (spare) spare.onExit = onExit;
    return spare?.child;
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.end();
  }

  /** Ends the process, unless somebody took it. */
  async end(): Promise<void> {
    clearTimeout(this.idle);
    const { spare } = this;
    this.spare = undefined;
    await spare?.child.stop(0);
  }
}
