import { ThalamusError } from '@thalamus/errors';
import type { Tensor } from '@thalamus/tensor';
import type { ChildRequestBody } from './child-protocol.js';
import type { InferenceChild } from './inference-child.js';
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
import { KeptChild, type KeptChildOptions } from './kept-child.js';
import { Relief } from './relief.js';
import type { ReliefChild } from './relief-child.js';
import { LOAD_TIMEOUT_MS, OpenModels, sizeOf, type OpenSession, type OpenTable } from './open-models.js';
import { hasOverflown, isOutOfMemory, noMemoryToLoad } from './out-of-memory.js';
import { abortError, checkRun, sessionGone } from './session-checks.js';

/** How long a run may take, milliseconds. */
const RUN_TIMEOUT_MS = 30_000;
/** Runs that came before are waited for, so this is no sign of a hang before they are. */
const RELEASE_TIMEOUT_MS = 120_000;
/** Less than services give their components to stop. */
const CLOSE_GRACE_MS = 3_000;
const SLACK_BYTES = 384 * 2 ** 20;

type LetGo = Extract<ChildRequestBody, { readonly kind: 'drop' | 'release' }>;

/** How the runtime behaves. */
export interface ChildProcessRuntimeOptions extends Partial<KeptChildOptions> {
  /** A run that takes longer is a hang: the child is killed. Default 30,000 ms. */
  readonly runTimeoutMs?: number;
  /** Runs that may wait for the child at once. Default 1,024. */
  readonly maxPending?: number;
  /** How long `close` lets runs in flight end. Default 3,000 ms. */
  readonly closeGraceMs?: number;
  /**
   * Resident memory that the child may keep besides what its models need, bytes: one with more is exchanged by `checkMemory`.
   * Default 384 MiB.
   */
  readonly slackBytes?: number;
  /**
   * Most children that run the same models at a time: more than one only while runs wait. Asked before another one is started, which will
   * have about so many bytes of memory. Default 1.
   */
  readonly children?: (bytes: number) => number;
  /** How sessions are made where a caller does not say, asked for whenever one is loaded. Default: those of SessionOptions. */
  readonly session?: () => SessionOptions;
}

/**
 * ONNX Runtime in a child process, which is there while anything is open. When the child dies, calls in flight fail with
 * EXPERT_CRASHED, a new child starts at once and every open session is loaded again; calls made meanwhile wait for that. A
 * hung run kills the child. A child that keeps dying is started again after ever longer pauses, and a model that kills it
 * again and again while being loaded is left out, and tried again after a while.
 */
export class ChildProcessRuntime implements InferenceRuntime {
  private nextSession = 1;
  private waiting = 0;
  private readonly open: OpenModels;
  private readonly kept: KeptChild;
  private readonly relief: Relief;
  /** What is being given to the child again, since the last try failed. */
  private readonly again = new Map<OpenSession | OpenTable, Promise<void>>();

  constructor(private readonly options: ChildProcessRuntimeOptions = {}) {
    this.open = new OpenModels(options.session);
    const limits = { runTimeoutMs: RUN_TIMEOUT_MS, closeGraceMs: CLOSE_GRACE_MS, slackBytes: SLACK_BYTES };
    this.kept = new KeptChild(this.open, { ...limits, ...options });
    this.relief = new Relief(this.open, {
      ...limits,
      ...options,
      children: () => options.children?.(this.kept.residentBytes ?? 0) ?? 1,
    });
  }

  /** How often the child ended without being asked to. */
  get crashCount(): number {
    return this.kept.crashCount;
  }

  /** Process id of the child; undefined while there is none. */
  get pid(): number | undefined {
    return this.kept.pid;
  }

  /** Bytes of the weights and rows that are open. */
  get openBytes(): number {
    return this.open.bytes;
  }

  /** Resident memory of the child, bytes; undefined without one, and where the system does not say. */
  get residentBytes(): number | undefined {
    return this.kept.residentBytes;
  }

  load(source: ModelSource, options: SessionOptions = {}): Promise<InferenceSession> {
    return this.kept.whileOpening(() => this.loadNow(source, options));
  }

  createTable(columns: TableColumns): Promise<RowTable> {
    return this.kept.whileOpening(() => this.createTableNow(columns));
  }

  /** Loads everything once more, in another child: what `session` says has changed. Runs in flight end, later ones wait. */
  loadAnew(): void {
    this.relief.dismissAll();
    this.kept.exchange('session-options');
  }

  /** Exchanges a child that keeps memory which its models do not need, when that is possible now. */
  checkMemory(): void {
    this.relief.check(this.kept.residentBytes);
    this.kept.checkMemory();
  }

  /** Ends the children besides the first one, each after what it runs. */
  endRelief(): void {
    this.relief.dismissAll();
  }

  /** The children besides the first one. */
  get relieving(): Relief['processes'] {
    return this.relief.processes;
  }

  async close(): Promise<void> {
    await Promise.all([this.relief.close(this.options.closeGraceMs ?? CLOSE_GRACE_MS), this.kept.close()]);
    this.open.sessions.clear();
  }

  private async loadNow(source: ModelSource, options: SessionOptions): Promise<InferenceSession> {
    const bytes = await sizeOf(source);
    const child = await this.kept.ready();
    const session = this.nextSession++;
    const { inputs, outputs } = await this.askToLoad(child, { id: session, source, options });
    // A child that died right after its answer was replaced by one that knows nothing of this session.
    if (!this.kept.isCurrent(child)) return this.loadNow(source, options);
    this.open.addSession(session, source, options, bytes);
    return this.handle(session, inputs, outputs);
  }

  private async askToLoad(child: InferenceChild, session: Parameters<OpenModels['load']>[1]) {
    try {
      return await this.open.load(child, session);
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      this.kept.ranOutOfMemory(child);
      throw noMemoryToLoad(error, this.options.dataLimitBytes);
    }
  }

  private async createTableNow(columns: TableColumns): Promise<RowTable> {
    const child = await this.kept.ready();
    const id = this.nextSession++;
    await child.ask('kept', { kind: 'table', table: id, columns }, LOAD_TIMEOUT_MS);
    if (!this.kept.isCurrent(child)) return this.createTableNow(columns);
    const rows = new Map<number, () => Promise<Feeds>>();
    const table: RowTable = {
      set: (row, read) => this.kept.whileOpening(() => this.setRow(table, row, read)),
      clear: (row) => void rows.delete(row),
      release: async () => {
        if (this.open.removeTable(table)) await this.letGo({ kind: 'drop', table: id });
      },
    };
    this.open.addTable(table, { id, columns, rows });
    return table;
  }

  private handle(
    session: number,
    inputs: readonly SessionValue[],
    outputs: readonly SessionValue[],
  ): InferenceSession {
    const { relief } = this;
    return {
      inputs,
      outputs,
      get lanes() {
        return relief.lanes;
      },
      press: () => {
        relief.press();
      },
      run: async (feeds, options = {}) => {
        if (!this.open.sessions.has(session)) throw sessionGone();
        const stored = new Set((options.tables ?? []).flatMap((table) => this.columnsOf(table)));
        const given = stored.size === 0 ? inputs : inputs.filter(({ name }) => !stored.has(name));
        checkRun(given, outputs, feeds, options);
        return this.run(session, feeds, options);
      },
      release: async () => {
        if (this.open.removeSession(session)) await this.letGo({ kind: 'release', session });
      },
    };
  }

  /** Frees one thing in the child; a child that is gone has freed everything. */
  private async letGo(what: LetGo): Promise<void> {
    if (this.kept.isClosing) return;
    const child = await this.kept.settled();
    await child?.ask('released', what, RELEASE_TIMEOUT_MS).catch(() => undefined);
    await this.kept.endWhenEmpty();
    if (this.open.isEmpty) this.relief.dismissAll();
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
    const values = await read();
    const child = await this.kept.ready();
    const opened = this.openTable(table);
    const { id } = opened;
    await child.ask('kept', { kind: 'row', table: id, row, values }, LOAD_TIMEOUT_MS);
    // A child that was started meanwhile was given the rows that were set before this one.
    if (!this.kept.isCurrent(child)) return this.setRow(table, row, read);
    this.open.setRow(opened, row, read);
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
    const { outputs: wanted, signal } = options;
    const ids = (options.tables ?? []).map((table) => this.openTable(table).id);
    const request = { kind: 'run', session, feeds, outputs: wanted, tables: ids } as const;
    const timeoutMs = options.timeoutMs ?? this.options.runTimeoutMs ?? RUN_TIMEOUT_MS;
    const other = this.relief.pick(this.kept.inFlight);
    if (other) return this.askOther(other, request, timeoutMs);
    let child = await this.kept.ready();
    const opened = this.open.sessions.get(session);
    if (!opened) throw sessionGone();
    const tables = (options.tables ?? []).map((table) => this.openTable(table));
    const lacking = [opened, ...tables].filter(({ trouble }) => trouble.isLacking);
    if (lacking.length > 0) {
      await this.complete(lacking);
      child = await this.kept.ready();
    }
    if (signal?.aborted) throw abortError(signal);
    try {
      const { outputs } = await child.ask('ran', request, timeoutMs);
      return outputs;
    } catch (error) {
      if (isOutOfMemory(error)) this.kept.ranOutOfMemory(child);
      if (hasOverflown(error)) opened.trouble.spoilt();
      throw error;
    }
  }

  /** A run in a further child; one that finds no memory, or holds numbers that are none, is given up. */
  private async askOther(child: ReliefChild, request: Parameters<ReliefChild['run']>[0], timeoutMs: number) {
    try {
      return (await child.run(request, timeoutMs)).outputs;
    } catch (error) {
      if (isOutOfMemory(error) || hasOverflown(error)) this.relief.dismiss(child);
      throw error;
    }
  }

  /** Gives the child what it lacks of what a run needs, when it is time for another try. @throws why it lacks it */
  private async complete(lacking: readonly (OpenSession | OpenTable)[]): Promise<void> {
    for (const opened of lacking) {
      if (opened.trouble.errorAt(performance.now())) continue;
      let giving = this.again.get(opened);
      if (!giving) {
        const give = async () => this.open.give(await this.kept.ready(), opened);
        giving = this.kept.whileOpening(give).finally(() => this.again.delete(opened));
        this.again.set(opened, giving);
      }
      await giving;
    }
    const now = performance.now();
    for (const { trouble } of lacking) {
      const error = trouble.errorAt(now);
      if (error) throw error;
    }
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
