import { ThalamusError } from '@thalamus/errors';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { holdFile, isHeldFile, makeFolder, type HeldFile } from '../exclusive-file.js';
import { readMeshFile } from './mesh-file.js';

const LOCK_FILE = 'launcher.lock';

/**
 * Makes the folder when it is not there, and takes it: no other launcher can until it is released, or until this process
 * ends in whatever way. @throws CONFIG_INVALID, DATA_FOLDER_IN_USE
 */
export function takeDataFolder(folder: string): HeldFile {
  let held: HeldFile | undefined;
  try {
    makeFolder(folder);
    accessSync(folder, constants.W_OK | constants.X_OK);
    held = holdFile(join(folder, LOCK_FILE));
  } catch (cause) {
    throw unusable(folder, cause);
  }
  if (!held) throw inUse(folder);
  return held;
}

/** Whether a launcher has the folder: while no mesh runs on it, one is starting or stopping. */
export function isDataFolderTaken(folder: string): boolean {
  try {
    return isHeldFile(join(folder, LOCK_FILE));
  } catch {
    // Whether it can be used at all is not asked here.
    return false;
  }
}

function inUse(folder: string): ThalamusError {
  const running = readMeshFile(folder);
  const who = running ? ` (process ${running.pid}, ${running.http})` : ' and is starting or stopping';
  const stop = running ? `Ctrl-C in its terminal, or "kill -INT ${running.pid}", ends it` : 'Wait for it';
  return new ThalamusError(
    'DATA_FOLDER_IN_USE',
    `A mesh runs already on ${folder}${who}. ${stop}; "thalamus up --data ${folder}-2 --port 0 --grpc-port 0" starts a second one beside it.`,
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
