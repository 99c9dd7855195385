import type { Feeds, InferenceRuntime, RowTable, TableColumns } from '@thalamus/inference';

/** Rows of one table, handed out and taken back. Row 0 is all zero and belongs to nobody. */
export class RowStack {
  private readonly free: number[] = [];
  private next = 1;

  private constructor(readonly table: RowTable) {}

  static async open(runtime: InferenceRuntime, columns: TableColumns): Promise<RowStack> {
    return new RowStack(await runtime.createTable(columns));
  }

  /** Puts values into a free row; `read` gives them now, and again after a crash. */
  async add(read: () => Promise<Feeds>): Promise<number> {
    const row = this.free.pop() ?? this.next++;
    try {
      await this.table.set(row, read);
      return row;
    } catch (fault) {
      this.free.push(row);
      throw fault;
    }
  }

  remove(row: number): void {
    this.table.clear(row);
    this.free.push(row);
  }

  release(): Promise<void> {
    return this.table.release();
  }
}

/**
 * Stacks of several sizes: an occupant stands in the smallest that it fits, so that one large occupant does not make all
 * others as large.
 */
export class SizedStacks {
  private readonly stacks = new Map<number, Promise<RowStack>>();

  constructor(
    private readonly runtime: InferenceRuntime,
    /** In rising order. */
    private readonly sizes: readonly number[],
    private readonly columns: (size: number) => TableColumns,
  ) {}

  /** The smallest size that holds so much; undefined when none does. */
  sizeFor(needed: number): number | undefined {
    return this.sizes.find((size) => size >= needed);
  }

  /** The stack of a size, made when it is first asked for. */
  of(size: number): Promise<RowStack> {
    const known = this.stacks.get(size);
    if (known) return known;
    const stack = RowStack.open(this.runtime, this.columns(size));
    this.stacks.set(size, stack);
    stack.catch(() => this.stacks.delete(size));
    return stack;
  }

  async release(): Promise<void> {
    for (const stack of this.stacks.values()) await (await stack.catch(() => undefined))?.release();
    this.stacks.clear();
  }
}

/** Where an occupant stands. */
export interface Place {
  /** Size of its stack. */
  readonly size: number;
  readonly row: number;
}
