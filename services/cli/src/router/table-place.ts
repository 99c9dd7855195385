import { ThalamusError } from '@thalamus/errors';
import { lstatSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { holdFile, makeFolder, type HeldFile } from '../exclusive-file.js';

/**
 * The file of a table, and beside it what has been measured of it until it is complete. One run at a time: the operating system keeps
 * the lock.
 */
export class TablePlace {
  private constructor(
    /** Absolute path of the table. */
    readonly path: string,
    private readonly held: HeldFile,
  ) {}

  /** What has been measured. */
  get partial(): string {
    return `${this.path}.partial`;
  }

  /** Takes the place of a table. @throws CONFIG_INVALID when a table is there, or another run has the place */
  static take(out: string): TablePlace {
    const path = resolve(out);
    if (lstatSync(path, { throwIfNoEntry: false }))
      throw usage(`${path} is there already; name a new file with --out, or remove it.`);
    let held: HeldFile | undefined;
    try {
      makeFolder(dirname(path));
      held = holdFile(`${path}.lock`);
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? 'unknown fault';
      throw usage(`${dirname(path)} cannot be written to (${code}); name another file with --out.`);
    }
    if (held) return new TablePlace(path, held);
    throw usage(
      `Another run measures ${path}; wait for it, end it with Ctrl-C, or name another file with --out.`,
    );
  }

  /** Forgets what an earlier run has measured. */
  clear(): void {
    rmSync(this.partial, { force: true });
  }

  /** Gives the place back; what has been measured stays. */
  leave(): void {
    rmSync(`${this.path}.lock`, { force: true });
    this.held.release();
  }
}

function usage(message: string): ThalamusError {
  return new ThalamusError('CONFIG_INVALID', message);
}
