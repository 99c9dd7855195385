import { ThalamusError, isErrorCode } from '@thalamus/errors';
import { existsSync, readFileSync } from 'node:fs';
import { readMeshFile, type MeshFile } from './mesh/mesh-file.js';

/** Options that every command has for finding the mesh. */
export interface MeshOptions {
  readonly data: string;
  /** Option of the command that names the data folder; default `--data`. */
  readonly dataOption?: string | undefined;
  readonly url?: string | undefined;
  readonly key?: string | undefined;
}

/** The error when nothing answers; exit code 3. */
export function unreachable(message: string, cause?: unknown): ThalamusError {
  return new ThalamusError('UPSTREAM_UNAVAILABLE', message, { cause });
}

/** The mesh file. @throws UPSTREAM_UNAVAILABLE */
export function runningMesh(options: Pick<MeshOptions, 'data' | 'dataOption'>): MeshFile {
  const mesh = readMeshFile(options.data);
  if (!mesh)
    throw unreachable(
      `No mesh runs on the data folder ${options.data}. Start one with "npm start", or name its folder with ${options.dataOption ?? '--data'}.`,
    );
  return mesh;
}

const TIMEOUT_MS = 30_000;

/** The gateway to ask: --url, else THALAMUS_URL; undefined: that of the local mesh. */
function urlOf(options: MeshOptions): string | undefined {
  // eslint-disable-next-line no-restricted-syntax -- the command line is where its environment is read
  return options.url ?? process.env['THALAMUS_URL'];
}

/** The key to send: --key, else THALAMUS_KEY, else the administrator's of the local mesh; never that to another mesh. */
export function keyOf(options: MeshOptions): string | undefined {
  // eslint-disable-next-line no-restricted-syntax -- the command line is where its environment is read
  const given = options.key ?? process.env['THALAMUS_KEY'];
  if (given !== undefined) return given;
  if (urlOf(options) !== undefined) return undefined;
  const file = readMeshFile(options.data)?.keyFile;
  return file !== undefined && existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

/** How long the gateway may take; chat answers come word by word. */
export const CHAT_TIMEOUT_MS = 310_000;

/** A request to the gateway. */
export interface GatewayRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  readonly timeoutMs?: number;
}

/** Asks the gateway. Its errors come back as what they are. @throws UPSTREAM_UNAVAILABLE when nothing answers */
export async function askGateway<T>(
  options: MeshOptions,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<T> {
  const response = await openGateway(options, { method, path, body });
  return parse(await response.text()) as T;
}

/** Asks the gateway; resolves with an answer that is well and whose body is still to be read. @throws as askGateway */
export async function openGateway(options: MeshOptions, request: GatewayRequest): Promise<Response> {
  const { method, path, body, timeoutMs = TIMEOUT_MS } = request;
  const base = baseUrl(options);
  const key = keyOf(options);
  const response = await fetch(`${base}${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(timeoutMs),
  }).catch((cause: unknown) => {
    if (cause instanceof Error && cause.name === 'TimeoutError')
      throw new ThalamusError('DEADLINE_EXCEEDED', `${base} did not answer within ${timeoutMs / 1000} s.`, {
        cause,
      });
    throw unreachable(`Nothing answers at ${base}. Is the mesh running? "npm start" starts one.`, cause);
  });
  if (response.ok) return response;
  throw (
    gatewayError(parse(await response.text())) ??
    new ThalamusError('UPSTREAM_ERROR', `${base} answered ${response.status}; is it a Thalamus gateway?`)
  );
}

/** The error that a body of the gateway tells; undefined when it tells none. */
export function gatewayError(body: unknown): ThalamusError | undefined {
  const error = (body as { error?: { code?: unknown; message?: unknown } } | undefined | null)?.error;
  if (typeof error?.message !== 'string') return undefined;
  const code = String(error.code);
  return new ThalamusError(isErrorCode(code) ? code : 'UPSTREAM_ERROR', error.message);
}

/** @throws CONFIG_INVALID when --url is no HTTP address */
function baseUrl(options: MeshOptions): string {
  const url = urlOf(options);
  if (url === undefined) return runningMesh(options).http;
  if (URL.canParse(url) && /^https?:/.test(url)) return url.replace(/\/+$/, '');
  throw new ThalamusError(
    'CONFIG_INVALID',
    `--url is "${url}"; it must be an address such as http://host:8080.`,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
