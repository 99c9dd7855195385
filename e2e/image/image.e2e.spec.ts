import { health } from '@thalamus/contracts';
import { createClient } from '@thalamus/grpc';
import { freePorts, kafkaBroker, waitUntil, type KafkaBroker } from '@thalamus/testing';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NODE, ROOT, temporaryFolder } from '../support/paths.js';
import { thalamus } from '../support/run-command.js';
import {
  containersOf,
  runImage,
  type Container,
  startService,
  untilReady,
  type Cluster,
  type ImageProcess,
} from './containers.js';

/** How often a container may have to be started. */
const MOST_STARTS = 10;
const containers = containersOf('minimal');
const running = new Map<string, ImageProcess>();
let folder: string;
let layout: string;
let broker: KafkaBroker;
let cluster: Cluster;

const portsOf = (service: string) => cluster.ports.get(service) ?? { grpc: 0, http: 0, ops: 0 };

beforeAll(async () => {
  folder = temporaryFolder('image');
  chmodSync(folder, 0o755);
  layout = join(folder, 'app');
  mkdirSync(join(folder, 'volumes'));
  execFileSync(NODE, [join(ROOT, 'tools/image-layout.mjs'), layout], { stdio: ['ignore', 'ignore', 'pipe'] });
  // The root file system of the containers is read-only.
  execFileSync('chmod', ['-R', 'a-w,a+rX', layout]);
  broker = await kafkaBroker();
  await broker.start();
  const free = await freePorts(containers.length * 3);
  const ports = containers.map(({ service }, index) => {
    const [grpc = 0, http = 0, ops = 0] = free.slice(index * 3, index * 3 + 3);
    return [service, { grpc, http, ops }] as const;
  });
  cluster = { folder: join(folder, 'volumes'), brokers: broker.address, ports: new Map(ports) };
  // All at once, as pods start.
  await Promise.all(containers.map((container) => startAsKubelet(container)));
});

/** Starts a container until it is ready, again when it ends: on an empty broker the updater has to make the topics first. */
async function startAsKubelet(container: Container): Promise<void> {
  const { service } = container;
  for (let attempt = 1; ; attempt += 1) {
    const process_ = startService(layout, container, cluster);
    running.set(service, process_);
    const fault = await untilReady(service, process_, portsOf(service).ops);
    if (fault === undefined) return;
    if (attempt === MOST_STARTS || !fault.includes('apply the topics first'))
      throw new Error(`Start ${attempt} of ${service}: ${fault}`);
  }
}

afterAll(async () => {
  for (const { child } of running.values()) child.kill('SIGKILL');
  await broker.dispose();
  execFileSync('chmod', ['-R', 'u+w', layout]);
  rmSync(folder, { recursive: true, force: true });
});

describe('the image', () => {
  it('has a container for every service of it, and starts nothing else', async () => {
    const known = readdirSync(join(layout, 'services')).filter((name) => name !== 'console');
    expect(containers.map(({ service }) => service).sort()).toEqual(known.sort());
    const wrong = runImage(layout, ['gatway']);
    expect(await wrong.ended).toBe(2);
    expect(wrong.said.text).toContain('one of composer, expert-host, gateway, router, updater, worker');
  });

  it('holds nothing that only development needs', () => {
    const names = developmentOnly();
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => existsSync(join(layout, 'node_modules', name)))).toEqual([]);
    for (const name of ['rolldown', 'lightningcss', 'esbuild', '@thalamus/testing', '@thalamus/cli'])
      expect(existsSync(join(layout, 'node_modules', name)), name).toBe(false);
    const files = readdirSync(join(layout, 'services'), { recursive: true, encoding: 'utf8' });
    expect(files.filter((name) => /\.(spec\.js|d\.ts|map)$/.test(name))).toEqual([]);
  });

  it('has native code for this platform alone, and stays below 200 MB', () => {
    const native = readdirSync(join(layout, 'node_modules'), { recursive: true, encoding: 'utf8' }).filter(
      (name) => /\.(node|so(\.\d+)*|dylib|dll)$/.test(name),
    );
    expect(native.length).toBeGreaterThan(1);
    expect(native.filter((name) => /win32|darwin|android|arm64|\.dll$|\.dylib$/.test(name))).toEqual([]);
    const [megabytes] = execFileSync('du', ['-sm', layout], { encoding: 'utf8' }).split('\t');
    expect(Number(megabytes)).toBeLessThan(200);
  });
});

describe('each service from a read-only layout, with the environment that the chart renders', () => {
  it.each(containers.map(({ service }) => service))('%s answers its probes', async (service) => {
    const { ops, grpc } = portsOf(service);
    expect((await fetch(`http://127.0.0.1:${ops}/healthz`)).status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${ops}/metrics`)).status).toBe(200);
    if (containers.find((item) => item.service === service)?.environment['THALAMUS_GRPC_PORT'] === undefined)
      return;
    const client = createClient(health.Health, { address: `127.0.0.1:${grpc}`, defaultDeadlineMs: 10_000 });
    const { status } = await client.check({ service: '' });
    client.close();
    expect(status).toBe(health.HealthCheckResponse_ServingStatus.SERVING);
  });

  it('runs as a user that is not root, where the test may choose', () => {
    for (const [service, { child }] of running) {
      const [, user] = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
      expect(user, service).toBe(process.getuid?.() === 0 ? '10001' : String(process.getuid?.()));
      expect(user, service).not.toBe('0');
    }
  });

  it('passes the test of the chart, and serves the console', async () => {
    const { http } = portsOf('gateway');
    const urls = [...cluster.ports.values()].map(({ ops }) => `http://127.0.0.1:${ops}/readyz`);
    const check = runImage(layout, ['check', ...urls, `http://127.0.0.1:${http}/openapi.json`]);
    expect(await check.ended, check.said.text).toBe(0);
    expect(check.said.text.match(/^ok /gm)).toHaveLength(7);
    const page = await fetch(`http://127.0.0.1:${http}/console/`);
    expect(page.headers.get('content-type')).toContain('text/html');
    expect(await page.text()).toContain('<div id="root">');
  });

  it('routes and answers a prompt once the zoo is loaded', async () => {
    const keyFile = join(cluster.folder, 'updater/data/admin.key');
    await waitUntil('the first key is written', () => existsSync(keyFile));
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    const updater = `127.0.0.1:${portsOf('updater').grpc}`;
    const loaded = await thalamus(['zoo', 'load', '--updater', updater, '--json'], { timeoutMs: 120_000 });
    expect(loaded.exit, loaded.stderr).toBe(0);
    const answer = await waitUntil('a prompt is answered', () => ask(readFileSync(keyFile, 'utf8').trim()), {
      timeoutMs: 90_000,
      everyMs: 250,
    });
    expect(answer.expert).toMatch(/\S/);
  });

  it('ends on SIGTERM with 0', async () => {
    for (const { child } of running.values()) child.kill('SIGTERM');
    const exits = [...running].map(
      async ([name, { ended, said }]) => [name, await ended, said.text] as const,
    );
    for (const [name, exit, text] of await Promise.all(exits)) expect(exit, `${name}: ${text}`).toBe(0);
  });
});

async function ask(key: string): Promise<{ readonly expert: string } | undefined> {
  const response = await fetch(`http://127.0.0.1:${portsOf('gateway').http}/v1/classifications`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: 'auto', input: 'I lost my card, please block it' }),
  });
  if (!response.ok) throw new Error(await response.text());
  return { expert: response.headers.get('x-thalamus-expert') ?? '' };
}

/** Names that some manifest has for development, and no library or service that runs in the image has to run. */
function developmentOnly(): string[] {
  const manifests = ['libs', 'services']
    .flatMap((group) => readdirSync(join(ROOT, group)).map((name) => join(ROOT, group, name, 'package.json')))
    .concat(join(ROOT, 'package.json'))
    .filter((path) => existsSync(path))
    .map(
      (path) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, Record<string, string> | undefined>,
    );
  const development = manifests.flatMap((manifest) => Object.keys(manifest['devDependencies'] ?? {}));
  const needed = new Set(
    readdirSync(join(layout, 'libs'))
      .map((name) => join(layout, 'libs', name, 'package.json'))
      .concat(containers.map(({ service }) => join(layout, 'services', service, 'package.json')))
      .flatMap((path) =>
        Object.keys((JSON.parse(readFileSync(path, 'utf8')) as { dependencies: object }).dependencies),
      ),
  );
  // protobufjs brings the types of Node, fastify brings ajv.
  const brought = ['@types/node', 'ajv'];
  return [...new Set(development)].filter((name) => !needed.has(name) && !brought.includes(name));
}
