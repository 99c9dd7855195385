import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { NODE, serviceMain } from './paths.js';
import { startCommand } from './run-command.js';

/** Names of the services, which are also the names of their folders; in the order of their start. */
export const SERVICES = ['updater', 'expert-host', 'router', 'composer', 'worker', 'gateway'] as const;
/** One of the services. */
export type Service = (typeof SERVICES)[number];

/** Ports of a service; each has more than it may need. */
export interface Address {
  readonly grpc: number;
  readonly ops: number;
  readonly http: number;
}

/** Where a service of a mesh stands. */
export interface Surroundings {
  readonly folder: string;
  readonly brokers: string;
  readonly addresses: ReadonlyMap<string, Address>;
}

/** The settings of a service: those that it knows of all that a mesh may have. What it does not know it would refuse. */
export async function settingsFor(
  service: Service,
  { folder, brokers, addresses }: Surroundings,
): Promise<Record<string, string>> {
  const own = addresses.get(service);
  const data = join(folder, service);
  mkdirSync(data, { recursive: true });
  const at = (name: Service) => `127.0.0.1:${addresses.get(name)?.grpc ?? 0}`;
  const all: Record<string, string> = {
    THALAMUS_HOST: '127.0.0.1',
    THALAMUS_GRPC_PORT: String(own?.grpc ?? 0),
    THALAMUS_OPS_PORT: String(own?.ops ?? 0),
    THALAMUS_HTTP_PORT: String(own?.http ?? 0),
    THALAMUS_DATA: data,
    THALAMUS_BUS: 'kafka',
    THALAMUS_KAFKA_BROKERS: brokers,
    THALAMUS_ARTIFACTS: 'updater',
    THALAMUS_ARTIFACTS_FOLDER: join(data, 'artifacts'),
    THALAMUS_UPDATER_ADDRESS: at('updater'),
    THALAMUS_ROUTER_ADDRESS: at('router'),
    THALAMUS_COMPOSER_ADDRESS: at('composer'),
    THALAMUS_BOOTSTRAP_KEY_FILE: join(folder, 'admin.key'),
    THALAMUS_ANONYMOUS: 'viewer',
    THALAMUS_LOG_LEVEL: 'warn',
  };
  const known = await knownSettings(service);
  return Object.fromEntries(Object.entries(all).filter(([name]) => known.has(name)));
}

/** Names of the settings that `--help` of a service lists. */
export async function knownSettings(service: Service): Promise<ReadonlySet<string>> {
  const { exit, stdout } = await startCommand(NODE, [serviceMain(service) ?? '', '--help']).ended;
  if (exit !== 0) throw new Error(`${service} --help ended with ${exit}.`);
  return new Set(Array.from(stdout.matchAll(/^ {2}(THALAMUS_[A-Z_]+) /gm), ([, name]) => name ?? ''));
}
