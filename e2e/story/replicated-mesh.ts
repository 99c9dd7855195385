import { freePorts } from '@thalamus/testing';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { emptyBroker } from '../support/bus.js';
import { expectNothingLeft } from '../support/mesh.js';
import { temporaryFolder } from '../support/paths.js';
import { thalamus, type RunningCommand } from '../support/run-command.js';
import { startService, untilReady } from '../support/service-mesh.js';
import { SERVICES, settingsFor, type Address, type Service } from '../support/service-settings.js';

const REPLICAS = 2;

/** A mesh with two of every service on one broker. */
export interface ReplicatedMesh {
  /** Where `mesh.json` is: what verbs are told the mesh by. */
  readonly folder: string;
  /** Base URLs of both gateways. */
  readonly http: readonly string[];
  readonly key: string;
  /** host:port of the first replica of a service. */
  addressOf(service: Service): string;
  stop(): Promise<void>;
}

/**
 * Starts two of every service, each with a data folder of its own; both updaters stand on one artifact folder, as on a volume. Each
 * gateway has a router and a composer of its own, and all name the updater that was elected first.
 */
export async function startReplicated(brokers: string): Promise<ReplicatedMesh> {
  await emptyBroker(brokers);
  const folder = temporaryFolder('story');
  const ports = await freePorts(REPLICAS * SERVICES.length * 3);
  const replicas = Array.from({ length: REPLICAS }, (_, replica) =>
    SERVICES.map((service, at): [Service, Address] => {
      const [grpc = 0, ops = 0, http = 0] = ports.slice((replica * SERVICES.length + at) * 3);
      return [service, { grpc, ops, http }];
    }),
  );
  const [first = new Map<Service, Address>(), ...others] = replicas.map((pairs) => new Map(pairs));
  const running: { readonly name: string; readonly process_: RunningCommand }[] = [];
  const start = async (service: Service, own: ReadonlyMap<Service, Address>, replica: number) => {
    const data = join(folder, `replica-${replica}`);
    mkdirSync(data, { recursive: true });
    const addresses = new Map(own);
    const elected = first.get('updater');
    if (service !== 'updater' && elected) addresses.set('updater', elected);
    const settings = await settingsFor(service, { folder: data, brokers, addresses });
    const common: Record<string, string> = {
      THALAMUS_BOOTSTRAP_KEY_FILE: join(folder, 'admin.key'),
      THALAMUS_ARTIFACTS_FOLDER: join(folder, 'artifacts'),
    };
    const known = Object.fromEntries(Object.entries(common).filter(([name]) => name in settings));
    const process_ = startService(service, { ...settings, ...known });
    running.push({ name: `${service} ${replica}`, process_ });
    await untilReady(service, own.get(service)?.ops ?? 0, process_);
  };
  const http = [first, ...others].map((own) => `http://127.0.0.1:${own.get('gateway')?.http ?? 0}`);
  const addressOf = (service: Service) => `127.0.0.1:${first.get(service)?.grpc ?? 0}`;
  try {
    for (const [replica, own] of [first, ...others].entries()) await start('updater', own, replica);
    for (const service of SERVICES.slice(1))
      await Promise.all([first, ...others].map((own, replica) => start(service, own, replica)));
    writeFileSync(join(folder, 'mesh.json'), JSON.stringify(meshFile(folder, brokers, http[0] ?? '', first)));
    const loaded = await thalamus(['zoo', 'load', '--updater', addressOf('updater'), '--json'], {
      timeoutMs: 240_000,
    });
    if (loaded.exit !== 0) throw new Error(`thalamus zoo load ended with ${loaded.exit}: ${loaded.stderr}`);
    return {
      folder,
      http,
      key: readFileSync(join(folder, 'admin.key'), 'utf8').trim(),
      addressOf,
      stop: async () => {
        for (const { name, process_ } of [...running].reverse()) {
          process_.child.kill('SIGTERM');
          const { exit, stderr } = await process_.ended;
          if (exit !== 0) throw new Error(`${name} ended with ${exit}: ${stderr}`);
        }
        await expectNothingLeft(folder);
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch (fault) {
    for (const { process_ } of running) process_.child.kill('SIGKILL');
    throw fault;
  }
}

function meshFile(folder: string, brokers: string, http: string, addresses: ReadonlyMap<Service, Address>) {
  return {
    pid: process.pid,
    pidStartedAt: '',
    startedAt: new Date().toISOString(),
    http,
    grpc: `127.0.0.1:${addresses.get('gateway')?.grpc ?? 0}`,
    keyFile: join(folder, 'admin.key'),
    bus: { kind: 'kafka', file: '', brokers },
    artifactsFolder: '',
    processes: [...addresses].map(([service, { grpc, ops }]) => ({
      service,
      pid: process.pid,
      grpc: `127.0.0.1:${grpc}`,
      ops: `127.0.0.1:${ops}`,
    })),
  };
}
