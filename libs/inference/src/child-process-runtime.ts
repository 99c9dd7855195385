import { ThalamusError } from '@thalamus/errors';
import type { Tensor } from '@thalamus/tensor';
import type { ChildRequestBody } from './child-protocol.js';
import { InferenceChild, type ChildOptions } from './inference-child.js';
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
import { LOAD_TIMEOUT_MS, OpenModels, sizeOf, type OpenTable } from './open-models.js';
import { RestartPause } from './restart-pause.js';
import { abortError, checkRun, sessionGone } from './session-checks.js';

/** How long a run may take, milliseconds. */
const RUN_TIMEOUT_MS = 30_000;
const RELEASE_TIMEOUT_MS = 10_000;

type LetGo = Extract<ChildRequestBody, { readonly kind: 'drop' | 'release' }>;

/** How the runtime behaves. */
export interface ChildProcessRuntimeOptions extends ChildOptions {
  /** A run that takes longer is a hang: the child is killed. Default 30,000 ms. */
  readonly runTimeoutMs?: number;
  /** Runs that may wait for the child at once. Default 1,024. */
  readonly maxPending?: number;
  /** How long `close` lets runs in flight end. Default 5,000 ms. */
  readonly closeGraceMs?: number;
  /** Told whenever the child ended without being asked to. */
  readonly onCrash?: (reason: string) => void;
  /** Told when nothing is open any more, so that there is no child. */
  readonly onEmpty?: () => void;
}

/**
 * ONNX Runtime in a child process, which is there while anything is open. When the child dies, calls in flight fail with
 * EXPERT_CRASHED, a new child starts at once and every open session is loaded again; calls made meanwhile wait for that. A
 * hung run kills the child. A child that keeps dying is started again after ever longer pauses, and a model that kills it
 * while being loaded is given up.
 */
export class ChildProcessRuntime implements InferenceRuntime {
  private child: InferenceChild | undefined;
  private starting: Promise<InferenceChild> | undefined;
  private closing: Promise<void> | undefined;
  private nextSession = 1;
  private waiting = 0;
  /** Loads that have begun: what they open is not counted yet. */
  private opening = 0;
  private readonly open = new OpenModels();
  private readonly pause = new RestartPause();
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

  /** Bytes of the weights and rows that are open. */
  get openBytes(): number {
    return this.open.bytes;
  }

  /** Resident memory of the child, bytes; undefined without one, and where the system does not say. */
  get residentBytes(): number | undefined {
    return this.child?.residentBytes;
  }

  load(source: ModelSource, options: SessionOptions = {}): Promise<InferenceSession> {
    return this.whileOpening(() => this.loadNow(source, options));
  }

  createTable(columns: TableColumns): Promise<RowTable> {
    return this.whileOpening(() => this.createTableNow(columns));
  }

  /**
   * Exchanges the child for a new one with the same sessions and tables, which gives back what it kept without use. Runs in flight
   * end in the old one, later ones wait for the new one.
   */
  async recycle(): Promise<void> {
    const old = this.child;
    if (!old || this.starting || this.closing) return;
    this.child = undefined;
    await this.begin(async () => {
      await old.stop(this.options.runTimeoutMs ?? RUN_TIMEOUT_MS);
      return this.start();
    });
  }

  close(): Promise<void> {
    this.closing ??= this.stop();
    return this.closing;
  }

  private async stop(): Promise<void> {
    await this.starting?.catch(() => undefined);
    await this.child?.stop(this.options.closeGraceMs ?? 5_000);
    this.open.sessions.clear();
  }

  private async whileOpening<T>(work: () => Promise<T>): Promise<T> {
    this.opening += 1;
    try {
      return await work();
    } finally {
      this.opening -= 1;
      await this.endWhenEmpty();
    }
  }

  private needsNoChild(): boolean {
    return !this.closing && this.opening === 0 && this.open.isEmpty;
  }

  private async endWhenEmpty(): Promise<void> {
    if (!this.needsNoChild()) return;
    await this.starting?.catch(() => undefined);
    if (!this.needsNoChild()) return;
    const child = this.child;
    this.child = undefined;
    this.options.onEmpty?.();
    await child?.stop(0);
  }

  private async loadNow(source: ModelSource, options: SessionOptions): Promise<InferenceSession> {
    const bytes = await sizeOf(source);
    const child = await this.ready();
    const session = this.nextSession++;
    const request = { kind: 'load', session, source, options } as const;
    const { inputs, outputs } = await child.ask('loaded', request, LOAD_TIMEOUT_MS);
    // A child that died right after its answer was replaced by one that knows nothing of this session.
    if (this.child !== child) return this.loadNow(source, options);
    this.open.sessions.set(session, { source, options, bytes });
    return this.handle(session, inputs, outputs);
  }

  private async createTableNow(columns: TableColumns): Promise<RowTable> {
    const child = await this.ready();
    const id = this.nextSession++;
    await child.ask('kept', { kind: 'table', table: id, columns }, LOAD_TIMEOUT_MS);
    if (this.child !== child) return this.createTableNow(columns);
    const opened: OpenTable = { id, columns, rows: new Map() };
    const table: RowTable = {
      set: (row, read) => this.setRow(table, row, read),
      clear: (row) => void opened.rows.delete(row),
      release: async () => {
        if (this.open.tables.delete(table)) await this.letGo({ kind: 'drop', table: id });
      },
    };
    this.open.tables.set(table, opened);
    return table;
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
        if (!this.open.sessions.has(session)) throw sessionGone();
        const stored = new Set((options.tables ?? []).flatMap((table) => this.columnsOf(table)));
        const given = stored.size === 0 ? inputs : inputs.filter(({ name }) => !stored.has(name));
        checkRun(given, outputs, feeds, options);
        return this.run(session, feeds, options);
      },
      release: async () => {
        if (this.open.sessions.delete(session)) await this.letGo({ kind: 'release', session });
      },
    };
  }

  /** Frees one thing in the child; a child that is gone has freed everything. */
  private async letGo(what: LetGo): Promise<void> {
    if (this.closing) return;
    await this.starting?.catch(() => undefined);
    await this.child?.ask('released', what, RELEASE_TIMEOUT_MS).catch(() => undefined);
    await this.endWhenEmpty();
  }

  private columnsOf(table: RowTable): string[] {
    return Object.keys(this.openTable(table).columns);
  }

  private openTable(table: RowTable): OpenTable {
    const opened = this.open.tables.get(table);
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
    const opened = this.open.sessions.get(session);
    if (!opened) throw sessionGone();
    if (opened.failure) throw opened.failure;
    const tables = (options.tables ?? []).map((table) => this.openTable(table));
    const broken = tables.find(({ failure }) => failure)?.failure;
    if (broken) throw broken;
    if (options.signal?.aborted) throw abortError(options.signal);
    const timeoutMs = options.timeoutMs ?? this.options.runTimeoutMs ?? RUN_TIMEOUT_MS;
    const { outputs: wanted } = options;
    const ids = tables.map(({ id }) => id);
    const request = { kind: 'run', session, feeds, outputs: wanted, tables: ids } as const;
    try {
      const { outputs } = await child.ask('ran', request, timeoutMs);
      return outputs;
    } catch (error) {
      // What allocates in the child may fail from now on, whatever it is asked for.
      if (isOutOfMemory(error) && this.child === child) void this.recycle().catch(() => undefined);
      throw error;
    }
  }

  /** The child with every open session in it. */
  private ready(): Promise<InferenceChild> {
    if (this.closing)
      return Promise.reject(new ThalamusError('EXPERT_NOT_READY', 'The inference process is shutting down.'));
    if (this.starting) return this.starting;
    if (this.child) return Promise.resolve(this.child);
    return this.begin(() => this.start());
  }

  private begin(start: () => Promise<InferenceChild>): Promise<InferenceChild> {
    const starting = start().finally(() => {
      this.starting = undefined;
    });
    this.starting = starting;
    return starting;
  }

  private async start(): Promise<InferenceChild> {
    for (;;) {
      await this.pause.wait();
      if (this.closing) throw sessionGone();
      const child: InferenceChild = new InferenceChild((reason) => {
        this.onExit(child, reason);
      }, this.options);
      this.child = child;
      await this.open.loadInto(child, () => this.child === child);
      if (this.child === child) return child;
    }
  }

  private onExit(child: InferenceChild, reason: string): void {
    if (this.child !== child) return;
    this.child = undefined;
    if (this.closing) return;
    this.crashes += 1;
    this.pause.crashed();
    this.options.onCrash?.(reason);
    // Warm again before the next request; a failure here shows up in that request.
    if (!this.open.isEmpty) this.ready().catch(() => undefined);
  }
}

/** A run that found no memory: what ONNX Runtime says then. */
function isOutOfMemory(error: unknown): boolean {
  return (
    ThalamusError.is(error) &&
    error.code === 'INFERENCE_FAILED' &&
    /bad_alloc|failed to allocate/i.test(error.message)
  );
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
