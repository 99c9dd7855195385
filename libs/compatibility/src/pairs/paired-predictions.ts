import { ThalamusError } from '@thalamus/errors';
import type { ScoreChanges } from '../score-changes.js';
import type { FlipCounts } from '../figures.js';
import { FlipList, type FlippedItem } from './flip-list.js';
import { describeLabelFaults, type LabelFault } from './label-faults.js';
import { ByteTable } from './byte-table.js';
import { NameTable } from './name-table.js';
import { PLACE, type RowFields } from './row-fields.js';
import { quoted } from './prediction-row.js';
import { ScoreSums } from './score-sums.js';
import { ScoreColumn, WholeColumn } from './columns.js';

/** What was counted of pairs. */
export interface PairCounts {
  readonly all: FlipCounts;
  readonly slices: ReadonlyMap<string, FlipCounts>;
  readonly items: readonly FlippedItem[];
  /** Absent when no item has a score in both. */
  readonly scores?: ScoreChanges;
  /** Names that items have as right label. */
  readonly labels: number;
  /** Whether any answer of the old version, of the new one, is the right label of some item. */
  readonly answersAreLabels: { readonly before: boolean; readonly after: boolean };
}

/** Most items of a comparison. */
const MAX_ITEMS = 10_000_000;
const ABSENT = -1;
/** Counts of a slice: n, old right, new right, negative, positive, inconsistent. */
const COUNTS = 6;

/** Names of two files for messages, and what their rows are called. */
export interface PairedFiles {
  readonly before: string;
  readonly after: string;
  readonly row: 'line' | 'row';
}

/**
 * Answers of two versions to the same items, in columns: first all of the old version, then all of the new in any order, then `count`. A
 * million items with short ids take about 60 MB.
 */
export class PairedPredictions {
  /** Names of slices, for who finds those of a row. */
  readonly sliceNames = new NameTable();
  private readonly ids = new ByteTable();
  private readonly names = new ByteTable();
  private readonly labels = new WholeColumn();
  private readonly oldAnswers = new WholeColumn();
  private readonly oldScores = new ScoreColumn();
  private readonly slices: WholeColumn[];
  private newAnswers: WholeColumn | undefined;
  private newScores = new ScoreColumn();
  private readonly labelFaults: LabelFault[] = [];
  private answered = 0;
  private next = 0;

  /** @param width slices that an item belongs to at most */
  constructor(
    private readonly files: PairedFiles,
    private readonly width: number,
  ) {
    this.slices = Array.from({ length: width }, () => new WholeColumn());
  }

  /**
   * Adds what the old version answered, with the numbers of the row's slices or -1.
   * @throws DATASET_INVALID for an id that was there already
   */
  addBefore(fields: RowFields, slices: Int32Array, row: number): void {
    const { bytes, from, to, score } = fields;
    const count = this.ids.size;
    if (this.ids.codeOf(bytes, from[PLACE.id]!, to[PLACE.id]!) !== count)
      throw this.fault('before', row, `: the id ${idOf(fields)} stands there twice; every item has one row.`);
    if (count === MAX_ITEMS)
      throw this.fault('before', row, ` is one too many; at most ${MAX_ITEMS} items are compared.`);
    const label = this.names.codeOf(bytes, from[PLACE.label]!, to[PLACE.label]!);
    this.labels.push(label);
    this.oldAnswers.push(this.nameOf(label, fields, PLACE.prediction));
    this.oldScores.push(score);
    for (let at = 0; at < this.width; at++) this.slices[at]!.push(slices[at]!);
  }

  /** @throws DATASET_INVALID for an id that was there already or is not in the old file, and for another slice */
  addAfter(fields: RowFields, slices: Int32Array, row: number): void {
    const { bytes, from, to, score } = fields;
    const answers = (this.newAnswers ??= this.begin());
    const item = this.itemOf(bytes, from[PLACE.id]!, to[PLACE.id]!);
    if (item === ABSENT)
      throw this.fault(
        'after',
        row,
        `: the item ${idOf(fields)} is in the new predictions only, not in ${this.files.before}; both versions must answer the same items.`,
      );
    if (answers.at(item) !== ABSENT)
      throw this.fault('after', row, `: the id ${idOf(fields)} stands there twice; every item has one row.`);
    const label = this.nameOf(this.labels.at(item), fields, PLACE.label);
    const isLabelledAlike = label === this.labels.at(item);
    if (!isLabelledAlike) this.labelFaults.push({ row: item, label });
    answers.set(item, this.nameOf(label, fields, PLACE.prediction));
    this.newScores.set(item, score);
    this.answered += 1;
    // Other labels are told of in one message of their own, once all were read.
    if (isLabelledAlike) for (let at = 0; at < this.width; at++) this.checkSlice(item, at, slices[at]!, row);
  }

  /**
   * Counts, with the `items` flipped items that come first: negative before positive ones, by id.
   * @throws DATASET_INVALID for files without rows, for items without a new answer, and for other right labels
   */
  count(items: number): PairCounts {
    this.checkWhole();
    const tallies = new Float64Array((this.sliceNames.size + 1) * COUNTS);
    const flips = new FlipList(items);
    const sums = new ScoreSums();
    const isLabel = new Uint8Array(this.names.size);
    for (let row = 0; row < this.ids.size; row++) isLabel[this.labels.at(row)] = 1;
    const said = { before: false, after: false };
    for (let row = 0; row < this.ids.size; row++) {
      const [label, before, after] = [this.labels.at(row), this.oldAnswers.at(row), this.newAnswers!.at(row)];
      const [wasRight, isRight] = [before === label, after === label];
      addTo(tallies, 0, wasRight, isRight, before !== after);
      for (const column of this.slices) {
        const slice = column.at(row);
        if (slice !== ABSENT) addTo(tallies, (slice + 1) * COUNTS, wasRight, isRight, before !== after);
      }
      if (wasRight !== isRight) flips.add(this.ids.nameOf(row), wasRight, row);
      sums.add(this.oldScores.at(row), this.newScores.at(row));
      if (isLabel[before] === 1) said.before = true;
      if (isLabel[after] === 1) said.after = true;
    }
    const slices = new Map<string, FlipCounts>();
    for (let code = 0; code < this.sliceNames.size; code++)
      slices.set(this.sliceNames.nameOf(code), countsAt(tallies, (code + 1) * COUNTS));
    return {
      all: countsAt(tallies, 0),
      slices,
      items: flips.first.map(({ id, negative, row }) => ({
        id,
        negative,
        label: this.names.nameOf(this.labels.at(row)),
        oldPrediction: this.names.nameOf(this.oldAnswers.at(row)),
        newPrediction: this.names.nameOf(this.newAnswers!.at(row)),
      })),
      ...(sums.changes ? { scores: sums.changes } : {}),
      labels: isLabel.reduce((sum, own) => sum + own, 0),
      answersAreLabels: said,
    };
  }

  private begin(): WholeColumn {
    this.checkBefore();
    this.newScores = ScoreColumn.empty(this.ids.size);
    return WholeColumn.filled(this.ids.size, ABSENT);
  }

  /** Files mostly hold their items in the same order: then no look-up is needed. */
  private itemOf(bytes: Uint8Array, from: number, to: number): number {
    const { ids, next } = this;
    const item = next < ids.size && ids.is(next, bytes, from, to) ? next : ids.find(bytes, from, to);
    if (item !== ABSENT) this.next = item + 1;
    return item;
  }

  /** Number of a name that is most often one that is known already, and then is not looked up. */
  private nameOf(likely: number, { bytes, from, to }: RowFields, place: number): number {
    const [begin, end] = [from[place]!, to[place]!];
    return this.names.is(likely, bytes, begin, end) ? likely : this.names.codeOf(bytes, begin, end);
  }

  private checkSlice(item: number, at: number, code: number, row: number): void {
    if (code === ABSENT) return;
    const column = this.slices[at]!;
    const known = column.at(item);
    if (known === ABSENT) column.set(item, code);
    else if (known !== code)
      throw this.fault(
        'after',
        row,
        `: the item ${quoted(this.ids.nameOf(item))} belongs to ${quoted(this.sliceNames.nameOf(code))}, and in ${this.files.before} to ${quoted(this.sliceNames.nameOf(known))}; both files slice alike.`,
      );
  }

  private fault(file: 'before' | 'after', row: number, what: string): ThalamusError {
    return new ThalamusError('DATASET_INVALID', `${this.files[file]}, ${this.files.row} ${row}${what}`);
  }

  /** All of the old version was added. @throws DATASET_INVALID when that was nothing */
  checkBefore(): void {
    if (this.ids.size === 0) throw empty(this.files.before);
  }

  private checkWhole(): void {
    const { after } = this.files;
    this.checkBefore();
    if (this.answered === 0) throw empty(after);
    if (this.labelFaults.length > 0)
      throw new ThalamusError(
        'DATASET_INVALID',
        describeLabelFaults(this.labelFaults, {
          files: this.files,
          ids: this.ids,
          labels: this.labels,
          names: this.names,
        }),
      );
    const missing = this.ids.size - this.answered;
    if (missing === 0) return;
    let first = 0;
    while (this.newAnswers!.at(first) !== ABSENT) first += 1;
    throw new ThalamusError(
      'DATASET_INVALID',
      `${missing} of ${this.ids.size} items are in the old predictions only, such as ${quoted(this.ids.nameOf(first))}: ${after} has no row for ${missing === 1 ? 'it' : 'them'}; both versions must answer the same items.`,
    );
  }
}

function addTo(
  tallies: Float64Array,
  at: number,
  wasRight: boolean,
  isRight: boolean,
  isOther: boolean,
): void {
  tallies[at]! += 1;
  if (wasRight) tallies[at + 1]! += 1;
  if (isRight) tallies[at + 2]! += 1;
  if (wasRight && !isRight) tallies[at + 3]! += 1;
  if (!wasRight && isRight) tallies[at + 4]! += 1;
  if (!isRight && isOther) tallies[at + 5]! += 1;
}

function countsAt(tallies: Float64Array, at: number): FlipCounts {
  const [n, oldRight, newRight, negative, positive, inconsistent] = tallies.subarray(at, at + COUNTS);
  return {
    n: n!,
    oldRight: oldRight!,
    newRight: newRight!,
    negative: negative!,
    positive: positive!,
    inconsistent: inconsistent!,
  };
}

function empty(file: string): ThalamusError {
  return new ThalamusError('DATASET_INVALID', `${file} holds no predictions.`);
}

function idOf(fields: RowFields): string {
  return quoted(fields.textAt(PLACE.id));
}
