import { ThalamusError } from '@thalamus/errors';
import { comparePairs, type Comparison } from './compare-pairs.js';
import { lackOf, type Dimension } from './pairs/dimensions.js';
import { LineReader } from './pairs/line-reader.js';
import { PairedPredictions } from './pairs/paired-predictions.js';
import { fillFromLine, RowFields } from './pairs/row-fields.js';
import { RowScanner } from './pairs/scan-row.js';
import { Slicer } from './pairs/slicer.js';

/** What is compared. */
export interface FileComparisonOptions {
  /** Names of the files for messages. */
  readonly files: { readonly before: string; readonly after: string };
  /** How items are sliced; by default by label, and by `slice` where rows have it. */
  readonly dimensions?: readonly Dimension[];
}

/** What the comparison is judged by, and how much of it is told. */
export interface JudgeOptions {
  /** Largest negative flip rate that is compatible, 0 to 1. */
  readonly budget: number;
  /** Flipped items to give at most. */
  readonly items: number;
}

const DEFAULT_DIMENSIONS: readonly Dimension[] = ['label', 'slice'];

/**
 * Compares two prediction files that come in pieces: JSONL rows `{id, label, prediction, score?, slice?, task?, tenant?, language?, text?,
 * tokens?}`. First all of the old file, then all of the new one, then `result`. Texts are not kept: only their length counts.
 */
export class FileComparison {
  private readonly pairs: PairedPredictions;
  private readonly slicer: Slicer;
  private readonly scanner = new RowScanner();
  private readonly fields = new RowFields();
  /** What rows must say, with whether the old file says it; undefined before its first row. */
  private readonly wanted: {
    readonly at: number;
    readonly dimension: Dimension;
    isInOld: boolean | undefined;
  }[];
  private readonly old: LineReader;
  private readonly own: LineReader;

  constructor(private readonly options: FileComparisonOptions) {
    const { files, dimensions } = options;
    const all = dimensions ?? DEFAULT_DIMENSIONS;
    this.wanted = (dimensions ?? []).map((dimension, at) => ({ at, dimension, isInOld: undefined }));
    this.pairs = new PairedPredictions({ ...files, row: 'line' }, all.length);
    this.slicer = new Slicer(all, this.pairs.sliceNames);
    this.old = this.reader(files.before, (line) => {
      this.pairs.addBefore(this.fields, this.slicer.codes, line);
      for (const want of this.wanted) this.checkOld(want, line);
    });
    this.own = this.reader(files.after, (line) => {
      this.pairs.addAfter(this.fields, this.slicer.codes, line);
      for (const want of this.wanted) this.checkOwn(want, line);
    });
  }

  /** Next piece of the old file. @throws DATASET_INVALID that names file and line */
  before(bytes: Uint8Array): void {
    this.old.push(bytes);
  }

  /** Next piece of the new file, once the old one has ended. @throws DATASET_INVALID that names file and line */
  after(bytes: Uint8Array): void {
    this.own.push(bytes);
  }

  /** The old file has ended. @throws DATASET_INVALID */
  endBefore(): void {
    this.old.end();
    this.pairs.checkBefore();
  }

  /** The new file has ended: the comparison. @throws DATASET_INVALID */
  result({ budget, items }: JudgeOptions): Comparison {
    this.own.end();
    return comparePairs(this.pairs.count(items), budget);
  }

  private reader(file: string, add: (line: number) => void): LineReader {
    return new LineReader(file, (bytes, from, to, line) => {
      if (!this.scanner.scan(this.fields, bytes, from, to)) {
        const text = decoded(bytes.subarray(from, to), file, line);
        if (text.trim() === '') return;
        fillFromLine(this.fields, text, file, line);
      }
      this.slicer.read(this.fields);
      add(line);
    });
  }

  /** What the first row of the old file does not say, the new file must say of every item. */
  private checkOld(want: (typeof this.wanted)[number], line: number): void {
    const isSaid = this.slicer.codes[want.at]! >= 0;
    want.isInOld ??= isSaid;
    if (isSaid !== want.isInOld) throw this.lacks(this.options.files.before, line, want.dimension, isSaid);
  }

  private checkOwn({ at, dimension, isInOld }: (typeof this.wanted)[number], line: number): void {
    if (isInOld === false && this.slicer.codes[at]! < 0)
      throw this.lacks(this.options.files.after, line, dimension, false);
  }

  private lacks(file: string, line: number, dimension: Dimension, isSaid: boolean): ThalamusError {
    const fault = isSaid ? `says its ${dimension}, and rows before it do not` : lackOf(dimension);
    return new ThalamusError(
      'DATASET_INVALID',
      `${file}, line ${line} ${fault}; slices by ${dimension} need it in every row of one of the files.`,
    );
  }
}

function decoded(bytes: Uint8Array, file: string, line: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ThalamusError('DATASET_INVALID', `${file}, line ${line} is not UTF-8.`);
  }
}
