import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { Tensor } from '@thalamus/tensor';
import { InferenceChild } from './inference-child.js';
import type {
  Feeds,
  InferenceRuntime,
  InferenceSession,
  ModelSource,
  RowTable,
  RunOptions,
  SessionOptions,
  SessionValue,
  TableColumns,
} from './inference-runtime.port.js';
import { abortError, checkRun, sessionGone } from './session-checks.js';

/** How the runtime behaves. */
export interface ChildProcessRuntimeOptions {
  /** A run that takes longer is a hang: the child is killed. Default 30,000 ms. */
  readonly runTimeoutMs?: number;
  /** Runs that may wait for the child at once. Default 1,024. */
  readonly maxPending?: number;
  /** How long `close` lets runs in flight end. Default 5,000 ms. */
  readonly closeGraceMs?: number;
  /** Told whenever the child ended without being asked to. */
  readonly onCrash?: (reason: string) => void;
}

/** A session that the caller has open, whether or not a child holds it right now. */
interface OpenSession {
  readonly source: ModelSource;
  readonly options: SessionOptions;
  /** Why the child could not load it again. */
  failure?: ThalamusError | undefined;
}

/** A table that the caller has open; its rows are read again for a new child. */
interface OpenTable {
  readonly id: number;
  readonly columns: TableColumns;
  readonly rows: Map<number, () => Promise<Feeds>>;
  /** Why the child could not be given its rows again. */
  failure?: ThalamusError | undefined;
}

const LOAD_TIMEOUT_MS = 120_000;
const STEADY_MS = 10_000;
const LONGEST_PAUSE_MS = 5_000;

/**
 * ONNX Runtime in a child process. When the child dies, calls in flight fail with EXPERT_CRASHED, a new child starts at
 * once and every open session is loaded again; calls made meanwhile wait for that. A hung run kills the child. A child
 * that keeps dying is started again after ever longer pauses, and a model that kills it while being loaded is given up.
 */
export class ChildProcessRuntime implements InferenceRuntime {
  private child: InferenceChild | undefined;
  private starting: Promise<InferenceChild> | undefined;
  private closing: Promise<void> | undefined;
  private nextSession = 1;
  private waiting = 0;
  private readonly open = new Map<number, OpenSession>();
  private readonly tables = new Map<RowTable, OpenTable>();
  private crashes = 0;
  private recentCrashes = 0;
  private lastCrashAt = -Infinity;

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
    const child = await this.ready();
    const session = this.nextSession++;
    const request = { kind: 'load', session, source, options } as const;
    const { inputs, outputs } = await child.ask('loaded', request, LOAD_TIMEOUT_MS);
    // A child that died right after its answer was replaced by one that knows nothing of this session.
    if (this.child !== child) return this.load(source, options);
    this.open.set(session, { source, options });
    return this.handle(session, inputs, outputs);
  }

  async createTable(columns: TableColumns): Promise<RowTable> {
    const child = await this.ready();
    const id = this.nextSession++;
    await child.ask('kept', { kind: 'table', table: id, columns }, LOAD_TIMEOUT_MS);
    if (this.child !== child) return this.createTable(columns);
    const opened: OpenTable = { id, columns, rows: new Map() };
    const table: RowTable = {
      set: (row, read) => this.setRow(table, row, read),
      clear: (row) => void opened.rows.delete(row),
      release: async () => {
        if (!this.tables.delete(table) || this.closing) return;
        await this.child?.ask('released', { kind: 'drop', table: id }, 10_000).catch(() => undefined);
      },
    };
    this.tables.set(table, opened);
    return table;
  }

  close(): Promise<void> {
    this.closing ??= this.stop();
    return this.closing;
  }

  private async stop(): Promise<void> {
    await this.starting?.catch(() => undefined);
    await this.child?.stop(this.options.closeGraceMs ?? 5_000);
    this.open.clear();
  }

  private handle(
    session: number,
    inputs: readonly SessionValue[],
    outputs: readonly SessionValue[],
  ): InferenceSession {
    return {
      inputs,
      outputs,
      run: async (feeds, options = {}) => {
        if (!this.open.has(session)) throw sessionGone();
        const stored = new Set((options.tables ?? []).flatMap((table) => this.columnsOf(table)));
        const given = stored.size === 0 ? inputs : inputs.filter(({ name }) => !stored.has(name));
        checkRun(given, outputs, feeds, options);
        return this.run(session, feeds, options);
      },
      release: async () => {
        if (!this.open.delete(session) || this.closing) return;
        // A child that is gone has released everything.
        await this.child?.ask('released', { kind: 'release', session }, 10_000).catch(() => undefined);
      },
    };
  }

  private columnsOf(table: RowTable): string[] {
    return Object.keys(this.openTable(table).columns);
  }

  private openTable(table: RowTable): OpenTable {
    const opened = this.tables.get(table);
    if (!opened) throw sessionGone();
    return opened;
  }

  private async setRow(table: RowTable, row: number, read: () => Promise<Feeds>): Promise<void> {
    const opened = this.openTable(table);
    const child = await this.ready();
    const values = await read();
    await child.ask('kept', { kind: 'row', table: opened.id, row, values }, LOAD_TIMEOUT_MS);
    // A child that was started meanwhile was given the rows that were set before this one.
    if (this.child !== child) return this.setRow(table, row, read);
    opened.rows.set(row, read);
  }

  private async run(
    session: number,
    feeds: Feeds,
    options: RunOptions,
  ): Promise<Readonly<Record<string, Tensor>>> {
    if (this.waiting >= (this.options.maxPending ?? 1_024)) {
      throw new ThalamusError(
        'EXPERT_OVERLOADED',
        'Too many runs wait for the inference process; try again in a moment.',
        { retryAfterMs: 200 },
      );
    }
    this.waiting += 1;
    const answer = this.ask(session, feeds, options).finally(() => {
      this.waiting -= 1;
    });
    return options.signal ? abandonable(answer, options.signal) : answer;
  }

  private async ask(session: number, feeds: Feeds, options: RunOptions) {
    const child = await this.ready();
    const opened = this.open.get(session);
    if (!opened) throw sessionGone();
    if (opened.failure) throw opened.failure;
    const tables = (options.tables ?? []).map((table) => this.openTable(table));
    const broken = tables.find(({ failure }) => failure)?.failure;
    if (broken) throw broken;
    if (options.signal?.aborted) throw abortError(options.signal);
    const timeoutMs = options.timeoutMs ?? this.options.runTimeoutMs ?? 30_000;
    const { outputs: wanted } = options;
    const ids = tables.map(({ id }) => id);
    const request = { kind: 'run', session, feeds, outputs: wanted, tables: ids } as const;
    const { outputs } = await child.ask('ran', request, timeoutMs);
    return outputs;
  }

  /** The child with every open session in it. */
  private ready(): Promise<InferenceChild> {
    if (this.closing)
      return Promise.reject(new ThalamusError('EXPERT_NOT_READY', 'The inference process is shutting down.'));
    if (this.starting) return this.starting;
    if (this.child) return Promise.resolve(this.child);
    const starting = this.start().finally(() => {
      this.starting = undefined;
    });
    this.starting = starting;
    return starting;
  }

  private async start(): Promise<InferenceChild> {
    for (;;) {
      const pauseMs =
        this.recentCrashes < 2 ? 0 : Math.min(LONGEST_PAUSE_MS, 100 * 2 ** (this.recentCrashes - 2));
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      if (this.closing) throw sessionGone();
      const child: InferenceChild = new InferenceChild((reason) => {
        this.onExit(child, reason);
      });
      this.child = child;
      await this.reload(child);
      if (this.child === child) return child;
    }
  }

  /** Loads every open session again. One that cannot be loaded fails its own runs only. */
  private async reload(child: InferenceChild): Promise<void> {
    for (const [session, opened] of this.open) {
      if (opened.failure?.code === 'EXPERT_CRASHED') continue;
      const { source, options } = opened;
      try {
        await child.ask('loaded', { kind: 'load', session, source, options }, LOAD_TIMEOUT_MS);
        opened.failure = undefined;
      } catch (fault) {
        opened.failure = toThalamusError(fault);
        if (this.child !== child) return;
      }
    }
    for (const table of this.tables.values()) {
      await this.refill(child, table);
      if (this.child !== child) return;
    }
  }

  /** Gives a table to a new child. Without all of its rows nothing is run on it: a row of zeros would answer wrongly. */
  private async refill(child: InferenceChild, table: OpenTable): Promise<void> {
    const { id, columns, rows } = table;
    try {
      await child.ask('kept', { kind: 'table', table: id, columns }, LOAD_TIMEOUT_MS);
      for (const [row, read] of rows) {
        const values = await read();
        await child.ask('kept', { kind: 'row', table: id, row, values }, LOAD_TIMEOUT_MS);
      }
      table.failure = undefined;
    } catch (fault) {
      table.failure = toThalamusError(fault);
    }
  }

  private onExit(child: InferenceChild, reason: string): void {
    if (this.child !== child) return;
    this.child = undefined;
    if (this.closing) return;
    this.crashes += 1;
    const now = performance.now();
    this.recentCrashes = now - this.lastCrashAt < STEADY_MS ? this.recentCrashes + 1 : 1;
    this.lastCrashAt = now;
    this.options.onCrash?.(reason);
    // Warm again before the next request; a failure here shows up in that request.
    if (this.open.size > 0) this.ready().catch(() => undefined);
  }
}

/** The answer, or why the caller has gone, as soon as it has; the child's work is then thrown away. */
function abandonable<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      reject(abortError(signal));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    answer.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', onAbort);
    });
  });
}
