import { openBundle } from '@thalamus/bundle';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, vi } from 'vitest';
import { importLocal } from '../../src/actions/import-local.js';
import type { ImportOptions } from '../../src/actions/import-options.js';
import { writeFiles, type Files } from './model-folders.js';

let root = '';
let printed = '';
/** What was printed. */
export const answer = (): unknown => JSON.parse(printed);
/** A path in the folder of a test. */
export const at = (name: string) => join(root, name);
/** Options of an import. */
export const wishes = (more: Partial<ImportOptions> = {}): ImportOptions => ({
  json: true,
  out: at('out'),
  expertVersion: '1',
  origin: 'this test',
  ...more,
});

beforeAll(() => {
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'import-'));
  printed = '';
});
afterEach(() => rm(root, { recursive: true, force: true }));
afterAll(() => void vi.restoreAllMocks());

/** Imports files as a folder, and opens what came out. */
export async function imported(files: Files, more: Partial<ImportOptions> = {}, folder = 'My Model.v2') {
  await importLocal(await writeFiles(at(folder), files), wishes(more));
  return openBundle(at('out'));
}

/** Why files are refused; nothing is written. */
export async function refusal(files: Files, more: Partial<ImportOptions> = {}): Promise<string> {
  await writeFiles(at('in'), files);
  return refusalOf(more);
}

/** Why the folder `in` is refused. */
export async function refusalOf(more: Partial<ImportOptions> = {}): Promise<string> {
  const before = await readdir(root);
  const fault: unknown = await importLocal(at('in'), wishes(more)).catch((error: unknown) => error);
  expect(await readdir(root)).toEqual(before);
  expect(fault).toMatchObject({ code: expect.stringMatching(/^(BUNDLE|GRAPH|CONFIG)_INVALID$/) as string });
  return (fault as Error).message;
}

/** Files but one. */
export const without = (files: Record<string, string | Uint8Array | object>, name: string) =>
  Object.fromEntries(Object.entries(files).filter(([key]) => key !== name));
