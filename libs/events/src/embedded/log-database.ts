import { ThalamusError } from '@thalamus/errors';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { LOG_SCHEMA, LOG_SCHEMA_VERSION } from './log-schema.js';

/** How long a statement waits for the lock of another process, milliseconds. */
export const LOCK_WAIT_MS = 10_000;
const RETRY_MS = 50;

/** Primary result codes of SQLite that have a meaning of their own here. */
const SQLITE = { busy: 5, readOnly: 8, corrupt: 11, full: 13, cannotOpen: 14, notADatabase: 26 } as const;

/** The file of the log: opens and checks it, runs transactions, says in our words what SQLite reports. */
export class LogDatabase {
  private readonly database: DatabaseSync;
  private readonly statements = new Map<string, StatementSync>();

  /** @throws EVENT_LOG_CORRUPT when the file is torn, of another format, or not a log; CONFIG_INVALID, EVENT_LOG_FULL, EVENT_LOG_BUSY */
  constructor(
    readonly file: string,
    maxPages?: number,
  ) {
    this.database = this.open(maxPages);
  }

  prepare(sql: string): StatementSync {
    let statement = this.statements.get(sql);
    if (!statement) {
      statement = this.database.prepare(sql);
      this.statements.set(sql, statement);
    }
    return statement;
  }

  /** Runs a statement that changes rows; returns how many. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.prepare(sql).run(...values).changes);
  }

  /** All of the work or nothing of it, alone among all processes. @throws EVENT_LOG_FULL, EVENT_LOG_BUSY, EVENT_LOG_CORRUPT */
  transaction<T>(work: () => T): T {
    return this.translated(() => {
      try {
        this.database.exec('BEGIN IMMEDIATE');
        const result = work();
        this.database.exec('COMMIT');
        return result;
      } catch (cause) {
        if (this.database.isTransaction) this.database.exec('ROLLBACK');
        throw cause;
      }
    });
  }

  /** Work that only reads. @throws EVENT_LOG_BUSY, EVENT_LOG_CORRUPT */
  translated<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      throw this.translate(cause);
    }
  }

  close(): void {
    this.database.close();
  }

  private open(maxPages: number | undefined): DatabaseSync {
    const until = performance.now() + LOCK_WAIT_MS;
    for (;;) {
      let database: DatabaseSync | undefined;
      try {
        database = new DatabaseSync(this.file, { timeout: LOCK_WAIT_MS });
        this.prepareFile(database, maxPages);
        return database;
      } catch (cause) {
        database?.close();
        // Some locks of an opening file are refused at once, without the wait that statements have.
        if (codeOf(cause) !== SQLITE.busy || performance.now() >= until) throw this.translateOpening(cause);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
      }
    }
  }

  private prepareFile(database: DatabaseSync, maxPages: number | undefined): void {
    database.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 1000;',
    );
    if (maxPages !== undefined) database.exec(`PRAGMA max_page_count = ${maxPages}`);
    const { user_version: version } = database.prepare('PRAGMA user_version').get() as {
      user_version: number;
    };
    if (version === 0) createTables(database);
    else if (version !== LOG_SCHEMA_VERSION)
      throw new Error(`its format is ${version}, this program writes ${LOG_SCHEMA_VERSION}`);
    const check = database.prepare('PRAGMA quick_check(1)').get() as { quick_check?: string } | undefined;
    if (check?.quick_check !== 'ok') throw new Error(check?.quick_check ?? 'the check failed');
  }

  private translateOpening(cause: unknown): ThalamusError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const code = codeOf(cause);
    if (code === SQLITE.readOnly || code === SQLITE.cannotOpen) {
      return new ThalamusError(
        'CONFIG_INVALID',
        `The event log ${this.file} cannot be opened (${reason}); check that its folder exists and can be written.`,
        { cause },
      );
    }
    const translated = this.translate(cause);
    return ThalamusError.is(translated) && translated.code !== 'EVENT_LOG_CORRUPT'
      ? translated
      : this.corrupt(reason, cause);
  }

  private translate(cause: unknown): unknown {
    if (ThalamusError.is(cause)) return cause;
    const code = codeOf(cause);
    if (code === SQLITE.full)
      return new ThalamusError(
        'EVENT_LOG_FULL',
        `The disk that holds the event log ${this.file} is full; free some space, nothing was written.`,
        { cause },
      );
    if (code === SQLITE.busy)
      return new ThalamusError(
        'EVENT_LOG_BUSY',
        `Another process has kept the event log ${this.file} locked for ${LOCK_WAIT_MS / 1000} s; nothing was written, try again.`,
        { cause },
      );
    if (code === SQLITE.corrupt || code === SQLITE.notADatabase)
      return this.corrupt(cause instanceof Error ? cause.message : String(cause), cause);
    return cause;
  }

  private corrupt(reason: string, cause: unknown): ThalamusError {
    return new ThalamusError(
      'EVENT_LOG_CORRUPT',
      `The event log ${this.file} cannot be used (${reason}). Move it and the files beside it that end in -wal and -shm away to start afresh, or restore them from a copy.`,
      { cause },
    );
  }
}

function createTables(database: DatabaseSync): void {
  try {
    database.exec(LOG_SCHEMA);
  } catch (cause) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw cause;
  }
}

/** Primary result code of an error of SQLite; 0 for any other. */
function codeOf(cause: unknown): number {
  return ((cause as { errcode?: number }).errcode ?? 0) & 0xff;
}
