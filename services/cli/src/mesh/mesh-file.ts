import { ThalamusError } from '@thalamus/errors';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A process of a mesh that `thalamus up` started. */
export interface MeshProcess {
  readonly service: string;
  readonly pid: number;
  /** host:port of its gRPC server, when it has one. */
  readonly grpc?: string;
  /** host:port of its HTTP server, when it has one behind the gateway. */
  readonly http?: string;
  /** host:port of /metrics, /healthz, /readyz. */
  readonly ops?: string;
}

/** What `thalamus up` writes for the other commands. */
export interface MeshFile {
  /** Process of the launcher. */
  readonly pid: number;
  /** When the system started that process, in its own clock: tells it from a later one of the same id. Empty: unknown. */
  readonly pidStartedAt: string;
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
const REPOSITORY = fileURLToPath(new URL('../../../..', import.meta.url));

/** The default data folder: THALAMUS_HOME, else `data` in the repository, from wherever the command is typed. */
export function defaultDataFolder(environment: Readonly<Record<string, string | undefined>>): string {
  const own = environment['THALAMUS_HOME'];
  return own === undefined || own === '' ? join(REPOSITORY, 'data') : resolve(own);
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
    return isAlive(mesh.pid, mesh.pidStartedAt) ? mesh : undefined;
  } catch (cause) {
    throw new ThalamusError(
      'CONFIG_INVALID',
      `${join(dataFolder, FILE)} is damaged; delete it and start the mesh again.`,
      { cause },
    );
  }
}

/** Writes the file at once: who reads meanwhile finds the former or the new one whole. */
export function writeMeshFile(dataFolder: string, mesh: MeshFile): void {
  const path = join(dataFolder, FILE);
  mkdirSync(dirname(path), { recursive: true });
  const part = `${path}.part`;
  writeFileSync(part, `${JSON.stringify(mesh, null, 2)}\n`, { mode: 0o600 });
  renameSync(part, path);
}

/** Removes the file. */
export function removeMeshFile(dataFolder: string): void {
  rmSync(join(dataFolder, FILE), { force: true });
}

/** Whether a mesh file lies there whose launcher has ended without removing it. */
export function hasStaleMeshFile(dataFolder: string): boolean {
  return existsSync(join(dataFolder, FILE)) && readMeshFile(dataFolder) === undefined;
}

/** Whether the process of this id runs, and is the one that started then. */
export function isAlive(pid: number, startedAt = ''): boolean {
  try {
    process.kill(pid, 0);
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const started = processStartedAt(pid);
  return startedAt === '' || started === '' || startedAt === started;
}

/** When a process started, in ticks of the system's clock; empty where /proc is not there. */
export function processStartedAt(pid: number): string {
  try {
    // The command name is in parentheses and may hold spaces: what follows is counted from the last one.
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
