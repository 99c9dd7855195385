import { ThalamusError, isErrorCode } from '@thalamus/errors';
import { existsSync, readFileSync } from 'node:fs';
import { readMeshFile, type MeshFile } from './mesh/mesh-file.js';

/** Options that every command has for finding the mesh. */
export interface MeshOptions {
  readonly data: string;
  readonly url?: string | undefined;
  readonly key?: string | undefined;
}

/** Thrown when nothing answers; exit code 3. */
export class Unreachable extends Error {}

/** The mesh file. @throws Unreachable */
export function runningMesh(options: MeshOptions): MeshFile {
  const mesh = readMeshFile(options.data);
  if (!mesh)
    throw new Unreachable(
      `No mesh runs on the data folder ${options.data}. Start one with "npm start", or name its folder with --data.`,
    );
  return mesh;
}

/** The key to send: the option, else the administrator's of the local mesh. */
export function keyOf(options: MeshOptions): string | undefined {
  if (options.key !== undefined) return options.key;
  if (options.url !== undefined) return undefined;
  const file = readMeshFile(options.data)?.keyFile;
  return file !== undefined && existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

/** Asks the gateway. Its errors come back as what they are. @throws Unreachable, ThalamusError */
export async function askGateway<T>(
  options: MeshOptions,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<T> {
  const base = options.url ?? runningMesh(options).http;
  const key = keyOf(options);
  const response = await fetch(`${base}${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  }).catch((cause: unknown) => {
    throw new Unreachable(`Nothing answers at ${base}. Is the mesh running? "npm start" starts one.`, {
      cause,
    });
  });
  const text = await response.text();
  const answer = parse(text);
  if (response.ok) return answer as T;
  const error = (answer as { error?: { code?: string; message?: string } } | undefined)?.error;
  const code = error?.code ?? '';
  throw new ThalamusError(
    isErrorCode(code) ? code : 'UPSTREAM_ERROR',
    error?.message ?? `${base} answered ${response.status}; is it a Thalamus gateway?`,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
