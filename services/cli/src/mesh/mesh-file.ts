import { ThalamusError } from '@thalamus/errors';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** A process of a mesh that `thalamus up` started. */
export interface MeshProcess {
  readonly service: string;
  readonly pid: number;
  /** host:port of its gRPC server, when it has one. */
  readonly grpc?: string;
  /** host:port of /metrics, /healthz, /readyz. */
  readonly ops?: string;
}

/** What `thalamus up` writes for the other commands. */
export interface MeshFile {
  readonly pid: number;
  readonly startedAt: string;
  /** Base URL of the gateway. */
  readonly http: string;
  /** host:port of the gateway's gRPC server. */
  readonly grpc: string;
  /** File that holds the administrator's key. */
  readonly keyFile: string;
  readonly bus: { readonly kind: 'embedded' | 'kafka'; readonly file: string; readonly brokers: string };
  readonly artifactsFolder: string;
  readonly processes: readonly MeshProcess[];
}

const FILE = 'mesh.json';

/** The default data folder: THALAMUS_HOME, else `data` here. */
export function defaultDataFolder(environment: Readonly<Record<string, string | undefined>>): string {
  return resolve(environment['THALAMUS_HOME'] ?? 'data');
}

/** Reads the file of a running mesh; undefined when there is none or its launcher has ended. */
export function readMeshFile(dataFolder: string): MeshFile | undefined {
  let text: string;
  try {
    text = readFileSync(join(dataFolder, FILE), 'utf8');
  } catch {
    return undefined;
  }
  try {
    const mesh = JSON.parse(text) as MeshFile;
    return isAlive(mesh.pid) ? mesh : undefined;
  } catch (cause) {
    throw new ThalamusError(
      'CONFIG_INVALID',
      `${join(dataFolder, FILE)} is damaged; delete it and start the mesh again.`,
      { cause },
    );
  }
}

/** Writes the file. */
export function writeMeshFile(dataFolder: string, mesh: MeshFile): void {
  const path = join(dataFolder, FILE);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(mesh, null, 2)}\n`, { mode: 0o600 });
}

/** Removes the file. */
export function removeMeshFile(dataFolder: string): void {
  rmSync(join(dataFolder, FILE), { force: true });
}

/** Whether a process of this id runs. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (fault) {
    return (fault as NodeJS.ErrnoException).code === 'EPERM';
  }
}
