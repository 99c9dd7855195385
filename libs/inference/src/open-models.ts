import { stat } from 'node:fs/promises';
import type { InferenceChild } from './inference-child.js';
import type { Feeds, ModelSource, RowTable, SessionOptions, TableColumns } from './inference-runtime.port.js';
import { LoadTrouble } from './load-trouble.js';

/** A session that the caller has open, whether or not a child holds it right now. */
export interface OpenSession {
  readonly id: number;
  readonly source: ModelSource;
  readonly options: SessionOptions;
  /** Bytes of its weights. */
  readonly bytes: number;
  /** With loading it again. */
  readonly trouble: LoadTrouble;
}

/** A table that the caller has open; its rows are read again for a new child. */
export interface OpenTable {
  readonly id: number;
  readonly columns: TableColumns;
  readonly rows: Map<number, () => Promise<Feeds>>;
  /** With giving its rows again. */
  readonly trouble: LoadTrouble;
}

/** How long a child may take to load a model or to take a row, milliseconds. */
export const LOAD_TIMEOUT_MS = 120_000;

/** What a caller has open: enough to give it to another child. */
export class OpenModels {
  readonly sessions = new Map<number, OpenSession>();
  readonly tables = new Map<RowTable, OpenTable>();
  /** Another one after every change of what is open. */
  revision = 0;

  /** `defaults` are how sessions are made where a caller does not say, asked for whenever one is loaded. */
  constructor(private readonly defaults: () => SessionOptions = () => ({})) {}

  get isEmpty(): boolean {
    return this.sessions.size === 0 && this.tables.size === 0;
  }

  /** Bytes of the weights and of the rows that were set. */
  get bytes(): number {
    let sum = 0;
    for (const { bytes } of this.sessions.values()) sum += bytes;
    for (const { columns, rows } of this.tables.values()) sum += (rows.size + 1) * rowBytes(columns);
    return sum;
  }

  addSession(id: number, source: ModelSource, options: SessionOptions, bytes: number): void {
    this.sessions.set(id, { id, source, options, bytes, trouble: new LoadTrouble() });
    this.revision += 1;
  }

  addTable(table: RowTable, opened: Omit<OpenTable, 'trouble'>): void {
    this.tables.set(table, { ...opened, trouble: new LoadTrouble() });
    this.revision += 1;
  }

  /** Takes out a session; false when it is not open. */
  removeSession(id: number): boolean {
    this.revision += 1;
    return this.sessions.delete(id);
  }

  /** Takes out a table; false when it is not open. */
  removeTable(table: RowTable): boolean {
    this.revision += 1;
    return this.tables.delete(table);
  }

  /** Keeps how a row is read that the child has been given. */
  setRow({ rows }: OpenTable, row: number, read: () => Promise<Feeds>): void {
    rows.set(row, read);
    this.revision += 1;
  }

  /**
   * Loads every session and fills every table in a new child. What cannot be loaded fails its own runs only. Ends early when
   * `isCurrent` says that the child has been given up.
   */
  async loadInto(child: InferenceChild, isCurrent: () => boolean): Promise<void> {
    const now = performance.now();
    for (const opened of [...this.sessions.values(), ...this.tables.values()]) {
      if (opened.trouble.errorAt(now)) continue;
      await this.give(child, opened);
      if (!isCurrent()) return;
    }
  }

  /** Loads a session in a child. */
  load(child: InferenceChild, { id, source, options }: Pick<OpenSession, 'id' | 'source' | 'options'>) {
    const request = {
      kind: 'load',
      session: id,
      source,
      options: { ...this.defaults(), ...options },
    } as const;
    return child.ask('loaded', request, LOAD_TIMEOUT_MS);
  }

  /** Gives one thing to a child that lacks it; what goes wrong is kept as its trouble. */
  async give(child: InferenceChild, opened: OpenSession | OpenTable): Promise<void> {
    try {
      await ('rows' in opened ? fill(child, opened) : this.load(child, opened));
      opened.trouble.loaded();
    } catch (fault) {
      opened.trouble.failed(fault, performance.now());
    }
  }
}

/** Without all of its rows nothing is run on a table: a row of zeros would answer wrongly. */
async function fill(child: InferenceChild, { id, columns, rows }: OpenTable): Promise<void> {
  await child.ask('kept', { kind: 'table', table: id, columns }, LOAD_TIMEOUT_MS);
  for (const [row, read] of rows) {
    const values = await read();
    await child.ask('kept', { kind: 'row', table: id, row, values }, LOAD_TIMEOUT_MS);
  }
}

/** Bytes of a model's file; 0 when it cannot be read, which its loading will say. */
export async function sizeOf(source: ModelSource): Promise<number> {
  if ('bytes' in source) return source.bytes.byteLength;
  return stat(source.path).then(
    ({ size }) => size,
    () => 0,
  );
}

function rowBytes(columns: TableColumns): number {
  return Object.values(columns).reduce((sum, { dtype, shape }) => {
    const width = shape.reduce((product, size) => product * size, 1);
    return sum + width * (dtype === 'float32' ? 4 : 2);
  }, 0);
}
