/** Whole numbers from -1 on, as many as are pushed. */
export class WholeColumn {
  private values: Int32Array;
  private count = 0;

  constructor(capacity = 1024) {
    this.values = new Int32Array(capacity);
  }

  /** A column of `length` times the same number. */
  static filled(length: number, value: number): WholeColumn {
    const column = new WholeColumn(length);
    column.values.fill(value);
    column.count = length;
    return column;
  }

  get length(): number {
    return this.count;
  }

  push(value: number): void {
    if (this.count === this.values.length) {
      const larger = new Int32Array(Math.max(1024, this.count * 2));
      larger.set(this.values);
      this.values = larger;
    }
    this.values[this.count++] = value;
  }

  at(row: number): number {
    return this.values[row]!;
  }

  set(row: number, value: number): void {
    this.values[row] = value;
  }
}

/** Numbers, as many as are pushed; NaN stands for none. */
export class ScoreColumn {
  private values: Float64Array;
  private count = 0;

  constructor(capacity = 1024) {
    this.values = new Float64Array(capacity);
  }

  /** A column of `length` times no number. */
  static empty(length: number): ScoreColumn {
    const column = new ScoreColumn(length);
    column.values.fill(NaN);
    column.count = length;
    return column;
  }

  push(value: number): void {
    if (this.count === this.values.length) {
      const larger = new Float64Array(Math.max(1024, this.count * 2));
      larger.set(this.values);
      this.values = larger;
    }
    this.values[this.count++] = value;
  }

  at(row: number): number {
    return this.values[row]!;
  }

  set(row: number, value: number): void {
    this.values[row] = value;
  }
}
