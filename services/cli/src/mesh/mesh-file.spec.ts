import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  hasStaleMeshFile,
  isAlive,
  processStartedAt,
  readMeshFile,
  writeMeshFile,
  type MeshFile,
} from './mesh-file.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'thalamus-mesh-file-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const mesh = (facts: Partial<MeshFile>): MeshFile => ({
  pid: process.pid,
  pidStartedAt: processStartedAt(process.pid),
  startedAt: new Date(0).toISOString(),
  http: 'http://127.0.0.1:8080',
  grpc: '127.0.0.1:8081',
  keyFile: join(folder, 'admin.key'),
  bus: { kind: 'embedded', file: join(folder, 'events.sqlite'), brokers: '' },
  artifactsFolder: join(folder, 'artifacts'),
  processes: [],
  ...facts,
});

describe('the mesh file', () => {
  it('is read back while its launcher runs', () => {
    expect(readMeshFile(folder)).toBeUndefined();
    writeMeshFile(folder, mesh({}));
    expect(readMeshFile(folder)).toEqual(mesh({}));
    expect(hasStaleMeshFile(folder)).toBe(false);
  });

  it('counts for nothing once its launcher has ended', () => {
    // Above the largest id that Linux gives.
    writeMeshFile(folder, mesh({ pid: 2 ** 22 + 1 }));
    expect(readMeshFile(folder)).toBeUndefined();
    expect(hasStaleMeshFile(folder)).toBe(true);
  });

  it('counts for nothing when another process has got the id since', () => {
    writeMeshFile(folder, mesh({ pidStartedAt: '1' }));
    expect(readMeshFile(folder)).toBeUndefined();
    expect(isAlive(process.pid)).toBe(true);
  });

  it('says what to do when it is damaged', () => {
    writeFileSync(join(folder, 'mesh.json'), '{"pid": ');
    expect(() => readMeshFile(folder)).toThrow(/mesh\.json is damaged; delete it/);
  });
});
