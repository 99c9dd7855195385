import { ThalamusError } from '@thalamus/errors';
import type { Tensor } from '@thalamus/tensor';
import type { Feeds, TableColumns } from './inference-runtime.port.js';

type Numbers = Float32Array | Uint16Array;

interface Column {
  readonly dtype: 'float32' | 'float16';
  readonly shape: readonly number[];
  /** Elements of a row. */
  readonly width: number;
  values: Numbers;
}

/**
 * Tensors that grow by rows along their first axis and stay between runs. Row 0 is always there and all zero, as is every
 * row that was never set. Capacity doubles, one column at a time; memory that no row was written to is not resident.
 */
export class TensorTable {
  private readonly columns: ReadonlyMap<string, Column>;
  private rows = 1;
  private capacity = 2;
  private feeds: Feeds | undefined;

  constructor(columns: TableColumns) {
    this.columns = new Map(
      Object.entries(columns).map(([name, { dtype, shape }]) => {
        const width = shape.reduce((product, size) => product * size, 1);
        return [name, { dtype, shape, width, values: numbers(dtype, this.capacity * width) }];
      }),
    );
  }

  /** Sets a row of every column; values are [...shape of the column]. @throws TENSOR_INVALID before anything is changed */
  set(row: number, values: Feeds): void {
    if (!Number.isInteger(row) || row < 1) throw invalid('row', `must be 1 or more, but is ${row}`);
    for (const name of Object.keys(values))
      if (!this.columns.has(name)) throw invalid(name, 'is no column of the table');
    const given = [...this.columns].map(
      ([name, column]) => [column, checked(name, column, values[name])] as const,
    );
    while (row >= this.capacity) this.grow();
    for (const [column, data] of given) column.values.set(data, row * column.width);
    this.rows = Math.max(this.rows, row + 1);
    this.feeds = undefined;
  }

  /** The columns as tensors [rows, ...shape], sharing the memory of the table. */
  tensors(): Feeds {
    this.feeds ??= Object.fromEntries(
      [...this.columns].map(([name, { dtype, shape, width, values }]) => [
        name,
        { dtype, shape: [this.rows, ...shape], data: values.subarray(0, this.rows * width) } as Tensor,
      ]),
    );
    return this.feeds;
  }

  private grow(): void {
    this.capacity *= 2;
    for (const column of this.columns.values()) {
      const larger = numbers(column.dtype, this.capacity * column.width);
      larger.set(column.values.subarray(0, this.rows * column.width));
      column.values = larger;
    }
  }
}

function numbers(dtype: Column['dtype'], length: number): Numbers {
  return dtype === 'float32' ? new Float32Array(length) : new Uint16Array(length);
}

function checked(name: string, { dtype, width }: Column, value: Tensor | undefined): Numbers {
  if (value?.dtype !== dtype || value.data.length !== width)
    throw invalid(name, `must be ${width} ${dtype} elements for a row of the table`);
  return value.data;
}

function invalid(field: string, description: string): ThalamusError {
  return new ThalamusError('TENSOR_INVALID', `${field} ${description}.`, {
    violations: [{ field, description }],
  });
}
