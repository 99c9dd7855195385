import type { Digest } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { z } from 'zod';
import { diskFault } from '../loop/checkpoint-file.js';

/** Results of an expert on a chunk of prompts: of each prompt the loss, then that of each mask; null for no result. */
export interface TableCell {
  readonly expert: number;
  readonly chunk: number;
  readonly rows: readonly (readonly (number | null)[])[];
}

const count = z.number().int().nonnegative();
const headSchema = z.strictObject({ lossTableRun: z.string() });
const cellSchema = z.strictObject({
  expert: count,
  chunk: count,
  rows: z.array(z.array(z.number().nonnegative().nullable()).min(1)),
});

/**
 * What has been measured of a table, in a file that only grows: a line with the digest of the run, then a line for each cell, on the
 * disk before `append` returns. A line that a killed process has not ended is cut off when the file is opened again.
 */
export class PartialTable {
  private constructor(
    readonly path: string,
    private readonly file: number,
    private readonly cells: Map<string, TableCell>,
  ) {}

  /**
   * Opens or makes the file of a run.
   * @throws CONFIG_INVALID when the file is of another run or cannot be written
   */
  static open(path: string, digest: Digest): PartialTable {
    const kept = isFile(path) ? readKept(path) : { cells: new Map<string, TableCell>(), end: 0 };
    if (kept.digest !== undefined && kept.digest !== digest)
      throw new ThalamusError(
        'CONFIG_INVALID',
        `${path} is of a run with other experts, prompts or settings; run that command again, name another file with --out, or forget what it has measured with --restart.`,
      );
    const file = onDisk(path, () => openSync(path, kept.digest === undefined ? 'w' : 'r+'));
    const table = new PartialTable(path, file, kept.cells);
    onDisk(path, () => ftruncateSync(file, kept.end));
    if (kept.digest === undefined) table.write({ lossTableRun: digest });
    else table.position = kept.end;
    return table;
  }

  private position = 0;

  has(expert: number, chunk: number): boolean {
    return this.cells.has(keyOf(expert, chunk));
  }

  get(expert: number, chunk: number): TableCell | undefined {
    return this.cells.get(keyOf(expert, chunk));
  }

  /** Cells that are there. */
  get size(): number {
    return this.cells.size;
  }

  /** Keeps a cell, on the disk. @throws ARTIFACT_STORE_FULL, CONFIG_INVALID */
  append(cell: TableCell): void {
    this.write(cell);
    this.cells.set(keyOf(cell.expert, cell.chunk), cell);
  }

  close(): void {
    closeSync(this.file);
  }

  private write(line: unknown): void {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    onDisk(this.path, () => {
      for (let done = 0; done < bytes.length;)
        done += writeSync(this.file, bytes, done, bytes.length - done, this.position + done);
      this.position += bytes.length;
      fsyncSync(this.file);
    });
  }
}

const keyOf = (expert: number, chunk: number) => `${expert}/${chunk}`;

/** False where nothing is. @throws CONFIG_INVALID for what is no plain file */
function isFile(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found && !found.isFile())
    throw new ThalamusError('CONFIG_INVALID', `${path} is no plain file; name another file with --out.`);
  return found !== undefined;
}

/** Whole lines of a file, and where they end; without a digest when not even the first is whole. */
function readKept(path: string): { digest?: string; cells: Map<string, TableCell>; end: number } {
  const bytes = onDisk(path, () => readFileSync(path));
  const end = bytes.lastIndexOf(10) + 1;
  const cells = new Map<string, TableCell>();
  if (end === 0) return { cells, end };
  const [first = '', ...lines] = bytes
    .subarray(0, end - 1)
    .toString('utf8')
    .split('\n');
  const head = parsed(headSchema, first);
  if (!head) throw foreign(path, 1);
  lines.forEach((line, at) => {
    const cell = parsed(cellSchema, line);
    if (!cell) throw foreign(path, at + 2);
    cells.set(keyOf(cell.expert, cell.chunk), cell);
  });
  return { digest: head.lossTableRun, cells, end };
}

function parsed<T>(schema: z.ZodType<T>, line: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

function foreign(path: string, line: number): ThalamusError {
  return new ThalamusError(
    'CONFIG_INVALID',
    `${path}: line ${line} is none that a measurement writes; name another file with --out, or forget what is there with --restart.`,
  );
}

function onDisk<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw diskFault(cause, path, 0);
  }
}
