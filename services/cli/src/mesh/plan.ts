import { join } from 'node:path';
import type { ServiceName } from './service-process.js';
import { recordingsFile, zooFolder } from './zoo-index.js';

/** What `thalamus up` was asked for. */
export interface UpOptions {
  readonly host: string;
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly dataFolder: string;
  readonly kafkaBrokers: string | undefined;
  readonly otlpEndpoint: string | undefined;
  readonly logLevel: string;
  /** host:port of remote experts that are not on the public internet. */
  readonly allowedUpstreams: readonly string[];
  /** The fleet of remote models and the upstream that replays their recorded answers; undefined: the zoo alone. */
  readonly replay: ReplayOptions | undefined;
}

/** How the replay upstream runs. It listens on loopback: only the gateway asks it. */
export interface ReplayOptions {
  /** Undefined: the usual one, or a free one when that is taken; 0: a free one. */
  readonly port: number | undefined;
  /** Factor on the time that answers take; 0: none. */
  readonly pace: number;
}

/** Where the replay upstream listens. */
export const REPLAY_HOST = '127.0.0.1';

/** Base URL of the replay upstream, once its port is known; undefined without a fleet. */
export function replayUrl({ replay }: UpOptions): string | undefined {
  return replay && `http://${REPLAY_HOST}:${replay.port ?? 0}/v1`;
}

/** Where each service listens. */
export interface ServiceAddress {
  readonly grpcPort: number | undefined;
  /** Of an HTTP server behind the gateway. */
  readonly httpPort?: number;
  readonly opsPort: number;
}

/**
 * Where services listen for one another, whatever address callers use: behind the gateway nobody is asked for a key.
 */
export const INTERNAL_HOST = '127.0.0.1';

/** Services that have a gRPC server of their own inside the mesh. */
const WITH_GRPC: readonly ServiceName[] = ['updater', 'expert-host', 'router', 'composer'];

/** Services behind the gateway that answer over HTTP too. */
const WITH_HTTP: readonly ServiceName[] = ['expert-host'];

/** Number of free ports that a mesh needs. */
export function portsNeeded(services: readonly ServiceName[]): number {
  const among = (names: readonly ServiceName[]) =>
    services.filter((service) => names.includes(service)).length;
  return services.length + among(WITH_GRPC) + among(WITH_HTTP);
}

/** Gives every service its ports. The replay upstream answers probes where it answers questions. */
export function assignPorts(
  services: readonly ServiceName[],
  ports: readonly number[],
  options: UpOptions,
): ReadonlyMap<ServiceName, ServiceAddress> {
  const rest = [...ports];
  const next = () => rest.shift() ?? 0;
  return new Map(
    services.map((service): [ServiceName, ServiceAddress] => {
      if (service === 'replay') return [service, { grpcPort: undefined, opsPort: options.replay?.port ?? 0 }];
      const own = WITH_GRPC.includes(service) ? next() : undefined;
      const grpcPort = service === 'gateway' ? options.grpcPort : own;
      const http = WITH_HTTP.includes(service) ? { httpPort: next() } : {};
      return [service, { grpcPort, opsPort: next(), ...http }];
    }),
  );
}

/** The address that a service listens on. */
export function hostOf(service: ServiceName, { host }: Pick<UpOptions, 'host'>): string {
  return service === 'gateway' ? host : INTERNAL_HOST;
}

/** The settings of one service of a mesh on one machine. */
export function settingsOf(
  service: ServiceName,
  options: UpOptions,
  addresses: ReadonlyMap<ServiceName, ServiceAddress>,
): Record<string, string> {
  const own = addresses.get(service);
  const at = (name: ServiceName) => `${INTERNAL_HOST}:${addresses.get(name)?.grpcPort ?? 0}`;
  const common: Record<string, string> = {
    THALAMUS_OPS_PORT: String(own?.opsPort ?? 0),
    THALAMUS_LOG_LEVEL: options.logLevel,
    ...(service === 'worker' || service === 'composer' ? {} : busOf(options)),
    ...(options.otlpEndpoint === undefined ? {} : { THALAMUS_OTLP_ENDPOINT: options.otlpEndpoint }),
  };
  const host = hostOf(service, options);
  const listening = listeningOf(host, own);
  const data = { THALAMUS_DATA: join(options.dataFolder, service) };
  const folder = { THALAMUS_ARTIFACTS_FOLDER: join(options.dataFolder, 'artifacts') };
  const artifacts = { THALAMUS_ARTIFACTS: 'folder', ...folder, THALAMUS_UPDATER_ADDRESS: at('updater') };
  switch (service) {
    case 'updater':
      return {
        ...common,
        ...listening,
        ...folder,
        THALAMUS_BOOTSTRAP_KEY_FILE: join(options.dataFolder, 'admin.key'),
      };
    case 'gateway':
      return {
        ...common,
        ...listening,
        ...data,
        ...doorOf(options),
        THALAMUS_ROUTER_ADDRESS: at('router'),
        THALAMUS_COMPOSER_ADDRESS: at('composer'),
        THALAMUS_UPDATER_ADDRESS: at('updater'),
      };
    case 'replay':
      return replaySettings(options.replay);
    case 'worker':
      return { ...common, ...data, THALAMUS_HOST: host, ...artifacts };
    case 'expert-host':
    case 'router':
    case 'composer':
      return { ...common, ...listening, ...data, ...artifacts };
  }
}

function listeningOf(host: string, own: ServiceAddress | undefined): Record<string, string> {
  return {
    THALAMUS_HOST: host,
    THALAMUS_GRPC_PORT: String(own?.grpcPort ?? 0),
    ...(own?.httpPort === undefined ? {} : { THALAMUS_HTTP_PORT: String(own.httpPort) }),
  };
}

/** What of the gateway callers meet, as settings. */
function doorOf({ host, httpPort, replay, allowedUpstreams }: UpOptions): Record<string, string> {
  const allowed = [...(replay ? [`${REPLAY_HOST}:${replay.port ?? 0}`] : []), ...allowedUpstreams];
  return {
    THALAMUS_HTTP_PORT: String(httpPort),
    THALAMUS_ANONYMOUS: isLoopback(host) ? 'viewer' : 'off',
    ...(allowed.length > 0 && { THALAMUS_UPSTREAM_ALLOW: allowed.join(',') }),
  };
}

function replaySettings({ port, pace }: ReplayOptions = { port: 0, pace: 1 }): Record<string, string> {
  return {
    THALAMUS_HOST: REPLAY_HOST,
    THALAMUS_HTTP_PORT: String(port ?? 0),
    THALAMUS_RECORDINGS: recordingsFile(zooFolder()),
    THALAMUS_PACE: String(pace),
  };
}

/** Where the bus is, as settings. */
export function busOf(options: UpOptions): Record<string, string> {
  return options.kafkaBrokers === undefined
    ? { THALAMUS_BUS: 'embedded', THALAMUS_BUS_FILE: join(options.dataFolder, 'events.sqlite') }
    : { THALAMUS_BUS: 'kafka', THALAMUS_KAFKA_BROKERS: options.kafkaBrokers };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
