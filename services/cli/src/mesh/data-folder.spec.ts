import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isDataFolderTaken, takeDataFolder } from './data-folder.js';
import { processStartedAt, writeMeshFile, type MeshFile } from './mesh-file.js';

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
    expect(isDataFolderTaken(folder)).toBe(true);
    taken.release();
    expect(isDataFolderTaken(folder)).toBe(false);
    takeDataFolder(folder).release();
    expect(isDataFolderTaken(join(root, 'nowhere'))).toBe(false);
  });

  it('names the mesh that runs on it, how to end it, and how to start a second one', () => {
    const taken = takeDataFolder(root);
    const mesh: MeshFile = {
      pid: process.pid,
      pidStartedAt: processStartedAt(process.pid),
      startedAt: '2026-01-01T00:00:00.000Z',
      http: 'http://127.0.0.1:8080',
      grpc: '127.0.0.1:8081',
      keyFile: join(root, 'admin.key'),
      bus: { kind: 'embedded', file: '', brokers: '' },
      artifactsFolder: '',
      processes: [],
    };
    writeMeshFile(root, mesh);
    expect(() => takeDataFolder(root)).toThrow(
      `A mesh runs already on ${root} (process ${process.pid}, http://127.0.0.1:8080). Ctrl-C in its terminal, or "kill -INT ${process.pid}", ends it; "thalamus up --data ${root}-2 --port 0 --grpc-port 0" starts a second one beside it.`,
    );
    taken.release();
  });

  it.each([
    ['a file', () => (writeFileSync(join(root, 'file'), ''), join(root, 'file'))],
    ['below a file', () => (writeFileSync(join(root, 'file'), ''), join(root, 'file/data'))],
    ['a place that takes no folders', () => '/proc/thalamus'],
  ])('refuses %s and names the way out', (_what, place) => {
    expect(() => takeDataFolder(place())).toThrow(/cannot be written .*--data/);
  });
});
