import { ThalamusError } from '@thalamus/errors';
import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { readMeshFile } from './mesh-file.js';

/** A data folder that no other launcher can take until it is released, or until this process ends in whatever way. */
export interface LockedFolder {
  release(): void;
}

const LOCK_FILE = 'launcher.lock';

/**
 * Makes the folder when it is not there, and takes it. The operating system holds the lock, so that nothing stale is
 * left by a launcher that was killed. @throws CONFIG_INVALID, DATA_FOLDER_IN_USE
 */
export function takeDataFolder(folder: string): LockedFolder {
  try {
    makeFolder(folder);
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw unusable(folder, cause);
  }
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(folder, LOCK_FILE), { timeout: 0 });
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database?.close();
    throw isBusy(cause) ? inUse(folder, cause) : unusable(folder, cause);
  }
  const held = database;
  return {
    release: () => {
      held.close();
    },
  };
}

/** Makes a folder and those above it. One step at a time: where a folder refuses children, Node's recursive form never ends. */
function makeFolder(folder: string): void {
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

function inUse(folder: string, cause: unknown): ThalamusError {
  const running = readMeshFile(folder);
  const who = running ? ` (process ${running.pid}, ${running.http})` : ' and is starting or stopping';
  const stop = running ? `Ctrl-C in its terminal, or "kill -INT ${running.pid}", ends it` : 'Wait for it';
  return new ThalamusError(
    'DATA_FOLDER_IN_USE',
    `A mesh runs already on ${folder}${who}. ${stop}; "thalamus up --data ${folder}-2 --port 0 --grpc-port 0" starts a second one beside it.`,
    { cause },
  );
}

function unusable(folder: string, cause: unknown): ThalamusError {
  const why = (cause as NodeJS.ErrnoException).code ?? 'not usable';
  return new ThalamusError(
    'CONFIG_INVALID',
    `The data folder ${folder} cannot be written (${why}); choose a folder that can with --data.`,
    { cause },
  );
}
