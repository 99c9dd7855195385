import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Longer than another process takes to see whether the file is held, milliseconds. */
const LOOKED_AT_MS = 100;

/** A file that is held until it is released, or until this process ends in whatever way. */
export interface HeldFile {
  release(): void;
}

/**
 * Takes a file, which is made when it is not there; undefined while another process holds it. The operating system keeps the
 * lock, so that nothing stale is left by a process that was killed. @throws the fault of the disk
 */
export function holdFile(path: string): HeldFile | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: LOOKED_AT_MS });
    database.exec('BEGIN EXCLUSIVE');
  } catch (fault) {
    database?.close();
    if (isBusy(fault)) return undefined;
    throw fault;
  }
  const held = database;
  return {
    release: () => {
      held.close();
    },
  };
}

/** Whether another process holds the file; nothing is taken. @throws the fault of the disk */
export function isHeldFile(path: string): boolean {
  if (!existsSync(path)) return false;
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.prepare('SELECT count(*) FROM sqlite_master').get();
    return false;
  } catch (fault) {
    if (isBusy(fault)) return true;
    throw fault;
  } finally {
    database.close();
  }
}

/**
 * Makes a folder and those above it. One step at a time: where a folder refuses children, Node's recursive form never ends.
 * @throws the fault of the disk
 */
export function makeFolder(folder: string): void {
  if (existsSync(folder)) {
    if (!statSync(folder).isDirectory()) throw Object.assign(new Error('not a folder'), { code: 'ENOTDIR' });
    return;
  }
  makeFolder(dirname(folder));
  mkdirSync(folder);
}

function isBusy(fault: unknown): boolean {
  return fault instanceof Error && /locked|busy/i.test(fault.message);
}
