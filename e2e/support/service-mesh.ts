import { freePorts, waitUntil } from '@thalamus/testing';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expectNothingLeft, verbsOf, type Mesh } from './mesh.js';
import { NODE, ROOT, serviceMain, temporaryFolder } from './paths.js';
import { startCommand, thalamus, type RunningCommand } from './run-command.js';
import { SERVICES, settingsFor, type Address, type Service } from './service-settings.js';

/** A mesh whose services were started one by one, each with a data folder of its own, against a real broker. */
export interface ServiceMesh extends Mesh {
  /** Starts a service that has ended again, with the settings it had. */
  restart(service: string): Promise<void>;
}

/**
 * Starts every service by itself, without the launcher: Kafka between them, artifacts through the updater, no folder shared.
 * The zoo is put in by `thalamus zoo load`, as on a cluster.
 */
export async function startServices(brokers: string): Promise<ServiceMesh> {
  const folder = temporaryFolder('services');
  const names = SERVICES.filter((service) => serviceMain(service) !== undefined);
  const ports = await freePorts(names.length * 3);
  const addresses = new Map<string, Address>(
    names.map((name, index) => {
      const [grpc = 0, ops = 0, http = 0] = ports.slice(index * 3, index * 3 + 3);
      return [name, { grpc, ops, http }];
    }),
  );
  const running = new Map<string, RunningCommand>();
  const start = async (service: Service) => {
    const process_ = startService(service, await settingsFor(service, { folder, brokers, addresses }));
    running.set(service, process_);
    await untilReady(service, addresses.get(service)?.ops ?? 0, process_);
  };
  const file = () => meshFile(folder, brokers, addresses, running);
  const write = () => {
    writeFileSync(join(folder, 'mesh.json'), JSON.stringify(file()));
  };
  const stop = async () => {
    // The front door first, the updater last.
    for (const service of [...names].reverse()) {
      const process_ = running.get(service);
      process_?.child.kill('SIGTERM');
      const result = await process_?.ended;
      if (result && result.exit !== 0)
        throw new Error(`${service} ended with ${result.exit}: ${result.stderr}`);
    }
    await expectNothingLeft(folder);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    // The updater makes the topics that the others follow.
    await start('updater');
    await Promise.all(names.filter((name) => name !== 'updater').map(start));
    write();
    const updater = `127.0.0.1:${addresses.get('updater')?.grpc ?? 0}`;
    const loaded = await thalamus(['zoo', 'load', '--updater', updater, '--json'], { timeoutMs: 120_000 });
    if (loaded.exit !== 0) throw new Error(`thalamus zoo load ended with ${loaded.exit}: ${loaded.stderr}`);
    const { experts } = JSON.parse(loaded.stdout) as { experts: string[] };
    await untilAnswering(file().http, experts, keyOf(folder));
    return {
      ...verbsOf(folder),
      dataFolder: folder,
      http: file().http,
      grpc: file().grpc,
      key: keyOf(folder),
      experts,
      services: names,
      pidOf: (service) => running.get(service)?.pid ?? 0,
      addressOf: (service) => `127.0.0.1:${addresses.get(service)?.grpc ?? 0}`,
      restart: async (service) => {
        await running.get(service)?.ended;
        await start(service as Service);
        write();
      },
      stop,
    };
  } catch (fault) {
    for (const { child } of running.values()) child.kill('SIGKILL');
    throw fault;
  }
}

/** Starts a service by itself. */
export function startService(service: Service, settings: Record<string, string>): RunningCommand {
  const register = new URL('../../libs/telemetry/dist/register.js', import.meta.url).href;
  return startCommand(NODE, ['--import', register, serviceMain(service) ?? ''], {
    environment: settings,
    workingFolder: ROOT,
    timeoutMs: 900_000,
  });
}

/** Waits until a service says that it is ready; fails when it ends before. */
export async function untilReady(service: Service, ops: number, process_: RunningCommand): Promise<void> {
  const ready = waitUntil(
    `${service} says that it is ready`,
    async () => (await fetch(`http://127.0.0.1:${ops}/readyz`)).status === 200,
    { timeoutMs: 90_000 },
  );
  const failed = process_.ended.then(({ exit, stderr, stdout }) => {
    throw new Error(`${service} ended with ${exit}: ${stderr}${stdout}`);
  });
  ready.catch(() => undefined);
  failed.catch(() => undefined);
  await Promise.race([ready, failed]);
}

/** Waits until every expert is ready somewhere and a prompt is routed. */
async function untilAnswering(http: string, experts: readonly string[], key: string): Promise<void> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const body = (model: string) => JSON.stringify({ input: 'Book a table for two', model });
  for (const model of [...experts, 'auto'])
    await waitUntil(
      `${model} answers`,
      async () =>
        (await fetch(`${http}/v1/classifications`, { method: 'POST', headers, body: body(model) })).status ===
        200,
      { timeoutMs: 60_000, everyMs: 100 },
    );
}

function keyOf(folder: string): string {
  return readFileSync(join(folder, 'admin.key'), 'utf8').trim();
}

/** What `thalamus up` would have written, so that verbs find this mesh too. */
function meshFile(
  folder: string,
  brokers: string,
  addresses: ReadonlyMap<string, Address>,
  running: ReadonlyMap<string, RunningCommand>,
) {
  const gateway = addresses.get('gateway');
  return {
    pid: process.pid,
    pidStartedAt: '',
    startedAt: new Date().toISOString(),
    http: `http://127.0.0.1:${gateway?.http ?? 0}`,
    grpc: `127.0.0.1:${gateway?.grpc ?? 0}`,
    keyFile: join(folder, 'admin.key'),
    bus: { kind: 'kafka', file: '', brokers },
    artifactsFolder: '',
    processes: [...addresses].map(([service, { grpc, ops }]) => ({
      service,
      pid: running.get(service)?.pid ?? 0,
      grpc: `127.0.0.1:${grpc}`,
      ops: `127.0.0.1:${ops}`,
    })),
  };
}
