import { ThalamusError } from '@thalamus/errors';
import { existsSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { holdFile, makeFolder, type HeldFile } from '../exclusive-file.js';

const LOCK_FILE = 'run.lock';

/** Folder beside a bundle's own, which the bundle is written in and moved out of once it is whole; then it goes. */
export class ComposingFolder {
  private constructor(
    private readonly out: string,
    private readonly path: string,
    private readonly held: HeldFile,
  ) {}

  /** Takes the folder, and frees what a run that was killed left in it. @throws CONFIG_INVALID when another run has it */
  static take(out: string): ComposingFolder {
    const path = `${out}.composing`;
    let held: HeldFile | undefined;
    try {
      makeFolder(path);
      held = holdFile(join(path, LOCK_FILE));
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? 'unknown fault';
      throw usage(`${path} cannot be made in ${dirname(out)} (${code}); name another folder with --out.`);
    }
    if (!held)
      throw usage(
        `Another run composes into ${out}; wait for it, end it with Ctrl-C, or name another folder with --out.`,
      );
    const folder = new ComposingFolder(out, path, held);
    if (!existsSync(out) && existsSync(folder.old)) renameSync(folder.old, out);
    folder.clear();
    return folder;
  }

  /** Where the bundle is to be written; does not exist. */
  get bundle(): string {
    return join(this.path, 'bundle');
  }

  /** Moves the bundle to its place; what stood there goes. */
  finish(): void {
    const isReplaced = existsSync(this.out);
    if (isReplaced) renameSync(this.out, this.old);
    try {
      renameSync(this.bundle, this.out);
    } catch (cause) {
      if (isReplaced) renameSync(this.old, this.out);
      throw cause;
    }
  }

  /** Removes the folder. */
  leave(): void {
    this.clear();
    rmSync(join(this.path, LOCK_FILE), { force: true });
    this.held.release();
    try {
      rmdirSync(this.path);
    } catch {
      // Not ours: something else was put there.
    }
  }

  private get old(): string {
    return join(this.path, 'old');
  }

  private clear(): void {
    // A process that was killed while it wrote leaves a folder with a name of its own.
    for (const entry of readdirSync(this.path))
      if (/^(bundle|old)/.test(entry)) rmSync(join(this.path, entry), { recursive: true, force: true });
  }
}

function usage(message: string): ThalamusError {
  return new ThalamusError('CONFIG_INVALID', message);
}
