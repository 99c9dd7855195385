import { waitUntil } from '@thalamus/testing';
import { spawn, type ChildProcess } from 'node:child_process';
import { chownSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { NODE, ROOT } from '../support/paths.js';

/** User of the containers; only root can take its place. */
const USER = 10_001;
const IS_ROOT = process.getuid?.() === 0;

/** A container of the chart's rendered manifests: what it starts, with which environment. */
export interface Container {
  readonly service: string;
  readonly environment: Readonly<Record<string, string>>;
}

interface Manifest {
  readonly kind: string;
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly {
          readonly args: readonly string[];
          readonly env: readonly { readonly name: string; readonly value?: string }[];
        }[];
      };
    };
  };
}

/** The containers of an example of the chart. */
export function containersOf(example: string): readonly Container[] {
  const text = readFileSync(join(ROOT, 'helm/thalamus/examples', example, 'rendered.yaml'), 'utf8');
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest?.kind === 'Deployment')
    .flatMap((manifest) => manifest?.spec.template.spec.containers ?? [])
    .map(({ args, env }) => ({
      service: args[0] ?? '',
      environment: Object.fromEntries(env.map(({ name, value }) => [name, value ?? ''])),
    }));
}

/** Ports of a container on this machine. */
export interface Ports {
  readonly grpc: number;
  readonly http: number;
  readonly ops: number;
}

/** What stands in for the cluster: one machine has one address, no names, and folders for volumes. */
export interface Cluster {
  readonly folder: string;
  readonly brokers: string;
  readonly ports: ReadonlyMap<string, Ports>;
}

/** The environment of a container, with the cluster's addresses and volumes replaced by this machine's, and nothing else. */
export function environmentHere(
  { service, environment }: Container,
  cluster: Cluster,
): Record<string, string> {
  const own = cluster.ports.get(service);
  const replaced: Record<string, string | undefined> = {
    POD_IP: '127.0.0.1',
    THALAMUS_HOST: '127.0.0.1',
    THALAMUS_KAFKA_BROKERS: cluster.brokers,
    THALAMUS_GRPC_PORT: String(own?.grpc),
    THALAMUS_HTTP_PORT: String(own?.http),
    THALAMUS_OPS_PORT: String(own?.ops),
    THALAMUS_ADVERTISE: `127.0.0.1:${own?.grpc}`,
  };
  const here = (value: string) =>
    value
      .replace(/^\/data/, join(cluster.folder, service, 'data'))
      .replace(/^thalamus-([a-z-]+):\d+$/, (_, name: string) => `127.0.0.1:${cluster.ports.get(name)?.grpc}`);
  const entries = Object.entries(environment).map(([name, value]) => [name, replaced[name] ?? here(value)]);
  return { ...(Object.fromEntries(entries) as Record<string, string>), PATH: '/usr/bin:/bin' };
}

/** A process of the image. */
export interface ImageProcess {
  readonly child: ChildProcess;
  readonly said: { readonly text: string };
  readonly ended: Promise<number | string>;
}

/** Runs the image's entry point, as the image's user where this process may. */
export function runImage(
  layout: string,
  args: readonly string[],
  options: { readonly environment?: Record<string, string>; readonly temporary?: string } = {},
): ImageProcess {
  const child = spawn(NODE, [join(layout, 'start.mjs'), ...args], {
    cwd: layout,
    env: { TMPDIR: options.temporary ?? '/nonexistent', HOME: '/nonexistent', ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(IS_ROOT ? { uid: USER, gid: USER } : {}),
  });
  const said = { text: '' };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said.text += text));
  const ended = new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      resolve(signal ?? code ?? 1);
    });
  });
  return { child, said, ended };
}

/** Starts a service from the layout, its volumes being the only folders that it may write. */
export function startService(layout: string, container: Container, cluster: Cluster): ImageProcess {
  for (const volume of ['data', 'tmp']) {
    const path = join(cluster.folder, container.service, volume);
    mkdirSync(path, { recursive: true });
    if (IS_ROOT) chownSync(path, USER, USER);
  }
  return runImage(layout, [container.service], {
    environment: environmentHere(container, cluster),
    temporary: join(cluster.folder, container.service, 'tmp'),
  });
}

/** Waits until a service says that it is ready; returns what it said when it ends before. */
export async function untilReady(
  service: string,
  process_: ImageProcess,
  ops: number,
): Promise<string | undefined> {
  const ready = waitUntil(
    `${service} is ready`,
    async () => (await fetch(`http://127.0.0.1:${ops}/readyz`)).status === 200,
    { timeoutMs: 120_000, everyMs: 100 },
  );
  ready.catch(() => undefined);
  const ended = process_.ended.then((exit) => `it ended with ${exit}: ${process_.said.text}`);
  const result = await Promise.race([ready, ended]);
  return typeof result === 'string' ? result : undefined;
}
