import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takeDataFolder } from './data-folder.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'thalamus-data-folder-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

describe('takeDataFolder', () => {
  it('makes the folder, and gives it to one at a time', () => {
    const folder = join(root, 'a/b');
    const taken = takeDataFolder(folder);
    expect(() => takeDataFolder(folder)).toThrow(
      expect.objectContaining({ code: 'DATA_FOLDER_IN_USE' }) as Error,
    );
    taken.release();
    takeDataFolder(folder).release();
  });

  it.each([
    ['a file', () => (writeFileSync(join(root, 'file'), ''), join(root, 'file'))],
    ['below a file', () => (writeFileSync(join(root, 'file'), ''), join(root, 'file/data'))],
    ['a place that takes no folders', () => '/proc/thalamus'],
  ])('refuses %s and names the way out', (_what, place) => {
    expect(() => takeDataFolder(place())).toThrow(/cannot be written .*--data/);
  });
});
