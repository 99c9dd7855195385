import { freePorts } from '@thalamus/testing';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { emptyBroker, kafkaBrokers } from './bus.js';
import { expectNothingLeft, verbsOf, type Mesh } from './mesh.js';
import { temporaryFolder } from './paths.js';
import type { RunningCommand } from './run-command.js';
import { startService, untilReady } from './service-mesh.js';
import { settingsFor, type Address, type Service } from './service-settings.js';

/** What jobs need of a mesh: an updater and workers, each with a data folder of its own. */
export interface JobMesh extends Pick<Mesh, 'dataFolder' | 'run' | 'json' | 'stop'> {
  readonly workers: readonly RunningCommand[];
}

/** Leases that lapse soon and checkpoints that are stored often, milliseconds. */
const QUICK = { THALAMUS_JOB_LEASE_MS: '2000', THALAMUS_CHECKPOINT_MS: '200' };

/** Starts an updater and this many workers, on the bus of this run. */
export async function startJobMesh(workerCount: number): Promise<JobMesh> {
  const brokers = kafkaBrokers();
  if (brokers !== undefined) await emptyBroker(brokers);
  const folder = temporaryFolder('job-mesh');
  const names = ['updater', ...Array.from({ length: workerCount }, (_, at) => `worker-${at + 1}`)];
  const ports = await freePorts(names.length * 2);
  const addresses = new Map<string, Address>(
    names.map((name, at) => [name, { grpc: ports[2 * at] ?? 0, ops: ports[2 * at + 1] ?? 0, http: 0 }]),
  );
  const running: RunningCommand[] = [];
  const start = async (name: string) => {
    const service: Service = name === 'updater' ? 'updater' : 'worker';
    const own = addresses.get(name) ?? { grpc: 0, ops: 0, http: 0 };
    const places = new Map([...addresses, [service, own]]);
    const settings = await settingsFor(service, { folder, brokers: brokers ?? '', addresses: places });
    const process_ = startService(service, {
      ...settings,
      ...(service === 'worker' ? { ...QUICK, THALAMUS_DATA: join(folder, name) } : {}),
      ...(service === 'updater' && brokers === undefined
        ? { THALAMUS_BUS: 'embedded', THALAMUS_BUS_FILE: join(folder, 'events.sqlite') }
        : {}),
    });
    running.push(process_);
    await untilReady(service, own.ops, process_);
    return process_;
  };
  try {
    await start('updater');
    const workers = await Promise.all(names.slice(1).map(start));
    writeFileSync(join(folder, 'mesh.json'), JSON.stringify(meshFile(folder, addresses)));
    return {
      ...verbsOf(folder),
      dataFolder: folder,
      workers,
      stop: async () => {
        for (const { child, ended } of [...running].reverse()) {
          child.kill('SIGTERM');
          await ended;
        }
        await expectNothingLeft(folder);
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch (fault) {
    for (const { child } of running) child.kill('SIGKILL');
    throw fault;
  }
}

/** What `thalamus up` would have written, so that verbs find this mesh too. */
function meshFile(folder: string, addresses: ReadonlyMap<string, Address>) {
  return {
    pid: process.pid,
    pidStartedAt: '',
    startedAt: new Date().toISOString(),
    http: '',
    grpc: '',
    keyFile: join(folder, 'admin.key'),
    bus: { kind: 'embedded', file: '', brokers: '' },
    artifactsFolder: '',
    processes: [...addresses].map(([name, { grpc, ops }]) => ({
      service: name.replace(/-\d+$/, ''),
      pid: 0,
      grpc: `127.0.0.1:${grpc}`,
      ops: `127.0.0.1:${ops}`,
    })),
  };
}
