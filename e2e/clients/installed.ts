import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../support/paths.js';
import { startCommand, type CommandResult } from '../support/run-command.js';

const CACHE = join(ROOT, '.cache/clients');

/** A prompt that the fleet has answers to; 576 is in each of them. */
export const SAMPLE = (
  JSON.parse(readFileSync(join(ROOT, 'zoo/zoo.json'), 'utf8')) as { fleet: { sample: string } }
).fleet.sample;

/** What a program needs to know of a mesh. */
export interface Reachable {
  readonly http: string;
  readonly grpc: string;
  readonly key: string;
  /** host:port of the gRPC and HTTP servers of an expert host, for programs that ask one. */
  readonly hostGrpc?: string;
  readonly hostHttp?: string;
}

/** The official npm package. */
export async function openaiPackage(): Promise<unknown> {
  return import(pathToFileURL(join(CACHE, 'npm/node_modules/openai/index.mjs')).href);
}

/** Runs a Python program of this folder against a mesh; answers with the JSON document that it prints. */
export async function python<T>(program: string, mesh: Reachable): Promise<T> {
  const { http, grpc, key, hostGrpc = '', hostHttp = '' } = mesh;
  const { exit, stdout, stderr } = await startCommand(
    join(CACHE, 'python/bin/python'),
    [join(import.meta.dirname, program)],
    {
      environment: {
        MESH_HTTP: http,
        MESH_GRPC: grpc,
        MESH_HOST_GRPC: hostGrpc,
        MESH_HOST_HTTP: hostHttp,
        MESH_KEY: key,
        SAMPLE,
      },
    },
  ).ended;
  if (exit !== 0) throw new Error(`${program} ended with ${exit}: ${stderr}${stdout}`);
  return JSON.parse(stdout) as T;
}

/** Runs grpcurl without TLS. */
export function grpcurl(args: readonly string[]): Promise<CommandResult> {
  return startCommand(join(CACHE, 'bin/grpcurl'), ['-plaintext', ...args]).ended;
}

/** A load that ghz makes. */
export interface GhzLoad {
  /** Method as `package.Service.Method`; its message comes by reflection. */
  readonly call: string;
  /** JSON of the request. */
  readonly data: string;
  readonly requests: number;
  readonly concurrency: number;
}

/** As much of ghz's report as is used here. */
export interface GhzReport {
  readonly count: number;
  readonly rps: number;
  readonly statusCodeDistribution: Readonly<Record<string, number>>;
  readonly errorDistribution: Readonly<Record<string, number>>;
}

/** Runs ghz without TLS over four connections; answers with its report. */
export async function ghz(
  address: string,
  { call, data, requests, concurrency }: GhzLoad,
): Promise<GhzReport> {
  const counts = ['--total', String(requests), '--concurrency', String(concurrency), '--connections', '4'];
  const { exit, stdout, stderr } = await startCommand(join(CACHE, 'bin/ghz'), [
    ...['--insecure', '--call', call, '--data', data, '--format', 'json', ...counts],
    address,
  ]).ended;
  if (exit !== 0) throw new Error(`ghz ended with ${exit}: ${stderr}${stdout}`);
  return JSON.parse(stdout) as GhzReport;
}
