import { toThalamusError, type ThalamusError } from '@thalamus/errors';
import { stat } from 'node:fs/promises';
import type { InferenceChild } from './inference-child.js';
import type { Feeds, ModelSource, RowTable, SessionOptions, TableColumns } from './inference-runtime.port.js';

/** A session that the caller has open, whether or not a child holds it right now. */
export interface OpenSession {
  readonly source: ModelSource;
  readonly options: SessionOptions;
  /** Bytes of its weights. */
  readonly bytes: number;
  /** Why the child could not load it again. */
  failure?: ThalamusError | undefined;
}

/** A table that the caller has open; its rows are read again for a new child. */
export interface OpenTable {
  readonly id: number;
  readonly columns: TableColumns;
  readonly rows: Map<number, () => Promise<Feeds>>;
  /** Why the child could not be given its rows again. */
  failure?: ThalamusError | undefined;
}

/** How long a child may take to load a model or to take a row, milliseconds. */
export const LOAD_TIMEOUT_MS = 120_000;

/** What a caller has open: enough to give it to another child. */
export class OpenModels {
  readonly sessions = new Map<number, OpenSession>();
  readonly tables = new Map<RowTable, OpenTable>();

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

  /**
   * Loads every session and fills every table in a new child. What cannot be loaded fails its own runs only. Ends early when
   * `isCurrent` says that the child has been given up.
   */
  async loadInto(child: InferenceChild, isCurrent: () => boolean): Promise<void> {
    for (const [session, opened] of this.sessions) {
      if (opened.failure?.code === 'EXPERT_CRASHED') continue;
      const { source, options } = opened;
      try {
        await child.ask('loaded', { kind: 'load', session, source, options }, LOAD_TIMEOUT_MS);
        opened.failure = undefined;
      } catch (fault) {
        opened.failure = toThalamusError(fault);
      }
      if (!isCurrent()) return;
    }
    for (const table of this.tables.values()) {
      await this.refill(child, table);
      if (!isCurrent()) return;
    }
  }

  /** Without all of its rows nothing is run on a table: a row of zeros would answer wrongly. */
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
