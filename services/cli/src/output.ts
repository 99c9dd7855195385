/** Where a command's answer goes: one JSON document for scripts, or lines for people. */
export interface Output {
  readonly json: boolean;
  /** Prints the answer: the value as JSON, or the lines. */
  answer(value: unknown, lines: () => readonly string[]): void;
  /** Says what is going on; only to a terminal, never into a pipe. */
  note(text: string): void;
}

/** Output on standard output, notes on standard error. */
export function createOutput(json: boolean): Output {
  return {
    json,
    answer: (value, lines) => {
      process.stdout.write(
        json ? `${JSON.stringify(value, bigintAsString, 2)}\n` : `${lines().join('\n')}\n`,
      );
    },
    note: (text) => {
      if (process.stderr.isTTY && !json) process.stderr.write(`${text}\n`);
    },
  };
}

function bigintAsString(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

/** Rows as aligned columns; the first row is the header. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
