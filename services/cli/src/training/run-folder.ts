import { ThalamusError } from '@thalamus/errors';
import { diskFault } from '@thalamus/training';
import { accessSync, appendFileSync, constants, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { holdFile, makeFolder, type HeldFile } from '../exclusive-file.js';

const LOCK_FILE = 'run.lock';

/**
 * Log and checkpoint of a run, beside the folder of its bundle until that is written. One run at a time: the operating system
 * keeps the lock. When nothing is worth keeping, nothing is left.
 */
export class RunFolder {
  readonly checkpoint: string;
  private readonly log: string;

  private constructor(
    /** Absolute path. */
    readonly path: string,
    private readonly held: HeldFile,
  ) {
    this.checkpoint = join(path, 'checkpoint.safetensors');
    this.log = join(path, 'log.jsonl');
  }

  /** Takes the run folder of a bundle's folder. @throws CONFIG_INVALID when it cannot be made, or another run has it */
  static take(out: string): RunFolder {
    const path = `${out}.training`;
    let held: HeldFile | undefined;
    try {
      makeFolder(path);
      accessSync(path, constants.W_OK | constants.X_OK);
      held = holdFile(join(path, LOCK_FILE));
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? 'unknown fault';
      throw usage(`${path} cannot be made (${code}); name another folder with --out.`);
    }
    if (held) return new RunFolder(path, held);
    throw usage(
      `Another run trains into ${out}; wait for it, end it with Ctrl-C, or name another folder with --out.`,
    );
  }

  /** Appends a line to the log. @throws ARTIFACT_STORE_FULL, CONFIG_INVALID */
  append(line: string): void {
    try {
      appendFileSync(this.log, `${line}\n`);
    } catch (cause) {
      throw diskFault(cause, this.log, line.length);
    }
  }

  /** Forgets what an earlier run has left. */
  clear(): void {
    for (const file of [this.checkpoint, this.log]) rmSync(file, { force: true });
  }

  /** Gives the folder back: log and checkpoint stay, a folder without either goes. */
  leave(): void {
    rmSync(join(this.path, LOCK_FILE), { force: true });
    this.held.release();
    try {
      rmdirSync(this.path);
    } catch {
      // There is something to keep.
    }
  }
}

function usage(message: string): ThalamusError {
  return new ThalamusError('CONFIG_INVALID', message);
}
