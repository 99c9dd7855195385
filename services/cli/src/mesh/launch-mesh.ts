import { ThalamusError } from '@thalamus/errors';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { takeDataFolder } from './data-folder.js';
import { processStartedAt, removeMeshFile, writeMeshFile, type MeshFile } from './mesh-file.js';
import {
  assignPorts,
  hostOf,
  INTERNAL_HOST,
  portsNeeded,
  replayUrl,
  settingsOf,
  type ServiceAddress,
  type UpOptions,
} from './plan.js';
import { freePorts } from './ports.js';
import { SeedProcess, type SeededExperts } from './seed-process.js';
import { withPorts } from './with-ports.js';
import { entryPoint, ServiceProcess, SERVICES, type ServiceName } from './service-process.js';
import { Supervisor, type Report } from './supervisor.js';

/** A mesh that answers. */
export interface RunningMesh extends SeededExperts {
  readonly file: MeshFile;
  /** Ends every service: front door first. */
  stop(): Promise<void>;
  /** Ends every service at once. */
  kill(): void;
}

/** Who hears how the launch goes, and who may end it. */
export interface LaunchHooks {
  /** What is being done, for people who wait. */
  readonly progress: Report;
  /** What happens later to services that run. */
  readonly report: Report;
  /** Ends a launch that is under way. */
  readonly signal: AbortSignal;
}

/** How long services may drain, milliseconds; a little more than their own limit. */
const STOP_MS = 12_000;

/**
 * Starts every service, registers the zoo, and waits until prompts are answered. Whatever fails ends all that was started.
 * @throws DATA_FOLDER_IN_USE, PORT_IN_USE, BUNDLE_INVALID, EVENT_LOG_CORRUPT, KAFKA_UNREACHABLE, CONFIG_INVALID, CANCELLED
 */
export async function launchMesh(asked: UpOptions, hooks: LaunchHooks): Promise<RunningMesh> {
  requireBuilt();
  // The folder first: of a mesh that runs on it more can be said than that it has the ports.
  const folder = takeDataFolder(asked.dataFolder);
  const options = await withPorts(asked).catch((fault: unknown) => {
    folder.release();
    throw fault;
  });
  const supervisor = new Supervisor(hooks.report);
  const seed = new SeedProcess(join(options.dataFolder, 'logs'));
  hooks.signal.addEventListener('abort', () => {
    seed.stop();
    void supervisor.stop(STOP_MS);
  });
  try {
    const services = SERVICES.filter((service) => service !== 'replay' || options.replay !== undefined);
    const chosen = [options.httpPort, options.grpcPort, options.replay?.port ?? 0];
    const ports = await freePorts(INTERNAL_HOST, portsNeeded(services), chosen);
    const addresses = assignPorts(services, ports, options);
    const seeded = await startAll({ options, addresses, supervisor, seed, progress: hooks.progress });
    const write = () => {
      writeMeshFile(options.dataFolder, meshFile(options, addresses, supervisor));
    };
    write();
    supervisor.onRestart(write);
    const release = () => {
      removeMeshFile(options.dataFolder);
      folder.release();
    };
    return {
      file: meshFile(options, addresses, supervisor),
      ...seeded,
      stop: () => supervisor.stop(STOP_MS).finally(release),
      kill: () => {
        supervisor.kill();
        release();
      },
    };
  } catch (fault) {
    await supervisor.stop(STOP_MS);
    folder.release();
    throw fault;
  } finally {
    seed.stop();
  }
}

interface Launch {
  readonly options: UpOptions;
  readonly addresses: ReadonlyMap<ServiceName, ServiceAddress>;
  readonly supervisor: Supervisor;
  readonly seed: SeedProcess;
  readonly progress: Report;
}

/** Starts the services and puts in the zoo; answers with the names of its experts once prompts are answered. */
async function startAll({ options, addresses, supervisor, seed, progress }: Launch): Promise<SeededExperts> {
  const logFolder = join(options.dataFolder, 'logs');
  const artifactsFolder = join(options.dataFolder, 'artifacts');
  const start = (service: ServiceName) =>
    supervisor.run(service, () =>
      ServiceProcess.start({ service, settings: settingsOf(service, options, addresses), logFolder }),
    );
  progress('checking the zoo');
  // The updater first: it makes the topics that the others follow, while the zoo is checked and stored.
  const stored = seed.step({ kind: 'store', artifactsFolder, fleet: options.replay !== undefined });
  stored.catch(() => undefined);
  progress('starting the services');
  await start('updater');
  const others = Promise.all([...addresses.keys()].filter((service) => service !== 'updater').map(start));
  others.catch(() => undefined);
  await stored;
  progress('registering the zoo');
  const updaterAddress = `${INTERNAL_HOST}:${addresses.get('updater')?.grpcPort ?? 0}`;
  await seed.step({ kind: 'register', updaterAddress, artifactsFolder, replayUrl: replayUrl(options) });
  await others;
  progress('loading the experts');
  return seed.step({
    kind: 'wait',
    http: `http://${options.host}:${options.httpPort}`,
    grpc: `${options.host}:${options.grpcPort}`,
    key: administratorKey(options.dataFolder),
  });
}

/** The key that the updater left; undefined when the registry on the bus had keys before this data folder was made. */
function administratorKey(dataFolder: string): string | undefined {
  const path = join(dataFolder, 'admin.key');
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined;
}

/** @throws CONFIG_INVALID naming the services that are not compiled: a mesh without them would answer half. */
function requireBuilt(): void {
  const missing = SERVICES.filter((service) => !existsSync(entryPoint(service)));
  if (missing.length > 0)
    throw new ThalamusError(
      'CONFIG_INVALID',
      `Not compiled: ${missing.join(', ')}. Run "npm run build" in the repository.`,
    );
}

function meshFile(
  options: UpOptions,
  addresses: ReadonlyMap<ServiceName, ServiceAddress>,
  supervisor: Supervisor,
): MeshFile {
  return {
    pid: process.pid,
    pidStartedAt: processStartedAt(process.pid),
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
    processes: [...addresses].map(([service, { grpcPort, httpPort, opsPort }]) => {
      const host = hostOf(service, options);
      return {
        service,
        pid: supervisor.pidOf(service),
        ...(grpcPort === undefined ? {} : { grpc: `${host}:${grpcPort}` }),
        ...(httpPort === undefined ? {} : { http: `${host}:${httpPort}` }),
        ops: `${host}:${opsPort}`,
      };
    }),
  };
}
