import type { Digest } from '@thalamus/bundle';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PartialTable, type TableCell } from './partial-table.js';

const RUN: Digest = `sha256:${'1'.repeat(64)}`;
const cell = (expert: number, chunk: number): TableCell => ({
  expert,
  chunk,
  rows: [[0.1 + 0.2, null], [1e-9]],
});

describe('what has been measured of a table', () => {
  let folder = '';
  let path = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'partial-'));
    path = join(folder, 'T.partial');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const keep = (...cells: readonly TableCell[]) => {
    const table = PartialTable.open(path, RUN);
    for (const one of cells) table.append(one);
    table.close();
  };
  const kept = () => {
    const table = PartialTable.open(path, RUN);
    table.close();
    return table;
  };

  it('is there again for the same run, to the bit', () => {
    keep(cell(0, 0));
    keep(cell(0, 1), cell(1, 0));
    expect(kept().size).toBe(3);
    expect(kept().get(0, 1)).toEqual(cell(0, 1));
    expect(kept().has(1, 1)).toBe(false);
  });

  it('loses the line alone that a process was killed in, wherever it was killed', () => {
    keep(cell(0, 0), cell(0, 1));
    const bytes = readFileSync(path);
    const lines = [...bytes.keys()].filter((at) => bytes[at] === 10).map((at) => at + 1);
    for (let length = 0; length <= bytes.length; length++) {
      writeFileSync(path, bytes.subarray(0, length));
      const whole = lines.filter((end) => end <= length).length;
      expect(kept().size).toBe(Math.max(0, whole - 1));
      keep(cell(5, 5));
      expect(kept().size).toBe(Math.max(0, whole - 1) + 1);
    }
  });

  it('is refused for another run, and where it is no such file', () => {
    keep(cell(0, 0));
    const other: Digest = `sha256:${'2'.repeat(64)}`;
    expect(() => PartialTable.open(path, other)).toThrow(/other experts, prompts or settings.*--restart/);
    appendFileSync(path, '{"expert":-1}\n');
    expect(() => kept()).toThrow(/line 3 is none that a measurement writes/);
    truncateSync(path);
    appendFileSync(path, 'my notes\n');
    expect(() => kept()).toThrow(/line 1 is none/);
    expect(readFileSync(path, 'utf8')).toBe('my notes\n');
  });

  it('is refused where it is no plain file', () => {
    symlinkSync('/dev/zero', path);
    expect(() => PartialTable.open(path, RUN)).toThrow(/no plain file/);
    rmSync(path);
    mkdirSync(path);
    expect(() => PartialTable.open(path, RUN)).toThrow(/no plain file/);
  });
});
