import { ByteTable } from './byte-table.js';
import { classOfLength, type Dimension } from './dimensions.js';
import type { NameTable } from './name-table.js';
import { TEXT_PLACES, type RowFields } from './row-fields.js';

const ABSENT = -1;

/** Finds the slices of rows, as numbers of their names. */
export class Slicer {
  /** Slices of the row that was read last, by dimension; -1 where it says none. */
  readonly codes: Int32Array;
  private readonly finders: readonly ((fields: RowFields) => number)[];

  constructor(
    dimensions: readonly Dimension[],
    private readonly names: NameTable,
  ) {
    this.codes = new Int32Array(dimensions.length);
    this.finders = dimensions.map((dimension) =>
      dimension === 'length' ? (fields) => this.lengthOf(fields) : this.byText(dimension),
    );
  }

  read(fields: RowFields): void {
    for (let at = 0; at < this.finders.length; at++) this.codes[at] = this.finders[at]!(fields);
  }

  private byText(dimension: Exclude<Dimension, 'length'>): (fields: RowFields) => number {
    const place = TEXT_PLACES.indexOf(dimension);
    const known = new ByteTable();
    const codes: number[] = [];
    return (fields) => {
      const from = fields.from[place]!;
      if (from < 0) return ABSENT;
      const own = known.codeOf(fields.bytes, from, fields.to[place]!);
      // A slice may be named in any way; others are named after their field.
      if (own === codes.length)
        codes.push(this.names.codeOf(`${dimension === 'slice' ? '' : `${dimension}=`}${known.nameOf(own)}`));
      return codes[own]!;
    };
  }

  private lengthOf({ tokens, textLength }: RowFields): number {
    if (tokens >= 0) return this.names.codeOf(`length=${classOfLength(tokens, 'tokens')} tokens`);
    if (textLength < 0) return ABSENT;
    return this.names.codeOf(`length=${classOfLength(textLength, 'characters')} characters`);
  }
}
