import { ThalamusError } from '@thalamus/errors';
import { createLogger } from '@thalamus/telemetry';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readMeshFile, removeMeshFile, writeMeshFile, type MeshFile } from './mesh-file.js';
import { assignPorts, portsNeeded, settingsOf, type ServiceAddress, type UpOptions } from './plan.js';
import { freePorts, requireFreePort } from './ports.js';
import { registerZoo, storeZoo, zooFolder } from './seed-zoo.js';
import { ServiceProcess, SERVICES, type ServiceName } from './service-process.js';
import { Supervisor } from './supervisor.js';
import { waitUntilAnswering } from './wait-until-answering.js';

/** A mesh that answers. */
export interface RunningMesh {
  readonly file: MeshFile;
  readonly experts: readonly string[];
  /** Ends every service: front door first. */
  stop(): Promise<void>;
  /** Ends every service at once. */
  kill(): void;
}

/** Says what is being done, for people who wait. */
export type Progress = (text: string) => void;

/** How long services may drain, milliseconds; a little more than their own limit. */
const STOP_MS = 12_000;

/**
 * Starts every service, registers the zoo, and waits until prompts are answered. Whatever fails ends all that was
 * started. @throws PORT_IN_USE, BUNDLE_INVALID, EVENT_LOG_CORRUPT, KAFKA_UNREACHABLE, CONFIG_INVALID
 */
export async function launchMesh(options: UpOptions, progress: Progress): Promise<RunningMesh> {
  refuseSecondMesh(options.dataFolder);
  await requireFreePort(options.host, options.httpPort, '--port');
  await requireFreePort(options.host, options.grpcPort, '--grpc-port');
  makeFolder(options.dataFolder);
  const services = SERVICES.filter(isBuilt);
  const addresses = assignPorts(
    services,
    await freePorts(options.host, portsNeeded(services)),
    options.grpcPort,
  );
  const logFolder = join(options.dataFolder, 'logs');
  const supervisor = new Supervisor(createLogger('launcher'));
  const start = (service: ServiceName) =>
    supervisor.run(service, () =>
      ServiceProcess.start({ service, settings: settingsOf(service, options, addresses), logFolder }),
    );
  try {
    progress('checking the zoo');
    // The updater first: it makes the topics that the others follow, while the zoo is checked and stored.
    const stored = storeZoo(zooFolder(), join(options.dataFolder, 'artifacts'));
    stored.catch(() => undefined);
    progress('starting the services');
    await start('updater');
    const others = Promise.all(services.filter((service) => service !== 'updater').map(start));
    others.catch(() => undefined);
    await stored;
    progress('registering the zoo');
    const updater = `${options.host}:${addresses.get('updater')?.grpcPort ?? 0}`;
    const experts = await registerZoo(zooFolder(), updater);
    await others;
    progress('loading the experts');
    const key = readFileSync(join(options.dataFolder, 'admin.key'), 'utf8').trim();
    await waitUntilAnswering(
      `http://${options.host}:${options.httpPort}`,
      `${options.host}:${options.grpcPort}`,
      experts,
      key,
    );
    const file = meshFile(options, addresses, supervisor);
    writeMeshFile(options.dataFolder, file);
    supervisor.onRestart(() => {
      writeMeshFile(options.dataFolder, meshFile(options, addresses, supervisor));
    });
    const end = async () => {
      await supervisor.stop(STOP_MS);
      removeMeshFile(options.dataFolder);
    };
    const kill = () => {
      supervisor.kill();
      removeMeshFile(options.dataFolder);
    };
    return { file, experts, stop: end, kill };
  } catch (fault) {
    await supervisor.stop(STOP_MS);
    throw fault;
  }
}

function refuseSecondMesh(dataFolder: string): void {
  const running = readMeshFile(dataFolder);
  if (running)
    throw new ThalamusError(
      'PORT_IN_USE',
      `A mesh runs already on ${dataFolder} (process ${running.pid}, ${running.http}). Stop it, or choose another folder with --data.`,
    );
}

function makeFolder(dataFolder: string): void {
  try {
    mkdirSync(dataFolder, { recursive: true });
  } catch (cause) {
    throw new ThalamusError(
      'CONFIG_INVALID',
      `The data folder ${dataFolder} cannot be made; choose a folder that can be written with --data.`,
      { cause },
    );
  }
}

function isBuilt(service: ServiceName): boolean {
  return existsSync(fileURLToPath(new URL(`../../../${service}/dist/main.js`, import.meta.url)));
}

function meshFile(
  options: UpOptions,
  addresses: ReadonlyMap<ServiceName, ServiceAddress>,
  supervisor: Supervisor,
): MeshFile {
  return {
    pid: process.pid,
    startedAt: new Date().toISOString(),
    http: `http://${options.host}:${options.httpPort}`,
    grpc: `${options.host}:${options.grpcPort}`,
    keyFile: join(options.dataFolder, 'admin.key'),
    bus: {
      kind: options.kafkaBrokers === undefined ? 'embedded' : 'kafka',
      file: join(options.dataFolder, 'events.sqlite'),
      brokers: options.kafkaBrokers ?? '',
    },
    artifactsFolder: join(options.dataFolder, 'artifacts'),
    processes: [...addresses].map(([service, { grpcPort, opsPort }]) => ({
      service,
      pid: supervisor.pidOf(service),
      ...(grpcPort === undefined ? {} : { grpc: `${options.host}:${grpcPort}` }),
      ops: `${options.host}:${opsPort}`,
    })),
  };
}
