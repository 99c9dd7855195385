import { openBundle, openRouterBundle, sha256OfFile } from '@thalamus/bundle';
import { toThalamusError } from '@thalamus/errors';
import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import { createConnection } from 'node:net';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { hasStaleMeshFile } from '../mesh/mesh-file.js';
import { requireFreePort } from '../mesh/ports.js';
import { notTheZoo, readZoo } from '../mesh/zoo-index.js';
import { entryPoint, SERVICES } from '../mesh/service-process.js';
import { fine, wrong, type Check } from './check.js';
import { mebibytes } from './memory.js';

const NODE_MAJOR = 24;
const MIN_FREE_BYTES = 512 * 2 ** 20;
const CONNECT_MS = 3_000;

/** The pinned Node runs this. */
export function checkNode(version = process.version): Check {
  const detail = `${version} (${process.platform} ${process.arch})`;
  if (version.startsWith(`v${NODE_MAJOR}.`)) return fine('node', detail);
  return wrong(
    'node',
    detail,
    `Node ${NODE_MAJOR} is needed: "npm ci" installs the pinned one, "npx thalamus" uses it.`,
  );
}

/** Every service is compiled. */
export function checkBuild(): Check {
  const missing = SERVICES.filter((service) => !existsSync(entryPoint(service)));
  if (missing.length === 0) return fine('build', `${SERVICES.length} services are compiled`);
  return wrong('build', `not compiled: ${missing.join(', ')}`, 'Run "npm run build" in the repository.');
}

/** Every file of the zoo is there and is what its digest says. */
export async function checkZoo(folder: string): Promise<Check> {
  try {
    const zoo = readZoo(folder);
    const { fleet } = zoo;
    const bundles = [...zoo.bases, ...zoo.experts, ...fleet.experts];
    const routers = [...zoo.routers, ...fleet.routers];
    const { file, digest } = fleet.recordings;
    for (const { folder: name } of bundles) await openBundle(join(folder, name));
    for (const { folder: name } of routers) await openRouterBundle(join(folder, name));
    const found = `sha256:${await sha256OfFile(join(folder, file))}`;
    if (found !== digest) throw notTheZoo(file, found);
    return fine('zoo', `${bundles.length + routers.length} bundles, every digest is right`);
  } catch (fault) {
    const cure = 'Restore the folder zoo from the repository: "git checkout -- zoo".';
    return wrong('zoo', toThalamusError(fault).message, cure);
  }
}

/** The data folder can be written, and no launcher left its file behind. */
export function checkDataFolder(folder: string): Check {
  const existing = nearestExisting(folder);
  try {
    accessSync(existing, constants.W_OK | constants.X_OK);
  } catch {
    return wrong(
      'data folder',
      `${folder} cannot be written`,
      'Choose another folder with --data, or change its owner.',
    );
  }
  try {
    if (hasStaleMeshFile(folder))
      return wrong(
        'data folder',
        `${join(folder, 'mesh.json')} is left from a launcher that was killed`,
        'Start the mesh again: nothing is lost, and the file is written anew.',
      );
  } catch (fault) {
    return wrong('data folder', toThalamusError(fault).message, 'Delete the file and start the mesh again.');
  }
  return fine('data folder', existing === folder ? folder : `${folder} will be made at the first start`);
}

/** There is room for artifacts and events. */
export function checkDisk(folder: string): Check {
  const { bavail, bsize } = statfsSync(nearestExisting(folder));
  const free = bavail * bsize;
  const detail = `${mebibytes(free)} free for ${folder}`;
  if (free > MIN_FREE_BYTES) return fine('disk', detail);
  return wrong(
    'disk',
    detail,
    `Free at least ${mebibytes(MIN_FREE_BYTES)}, or choose a folder on another disk with --data.`,
  );
}

/** Nobody else listens where a mesh would. */
export async function checkPorts(
  ports: readonly (readonly [option: string, port: number])[],
): Promise<Check> {
  const taken: string[] = [];
  for (const [option, port] of ports)
    await requireFreePort('127.0.0.1', port, option).catch(() => taken.push(`${port} (${option})`));
  if (taken.length === 0) return fine('ports', `${ports.map(([, port]) => port).join(' and ')} are free`);
  return wrong(
    'ports',
    `taken: ${taken.join(', ')}`,
    'Stop the other program, or give "npm start -- --port ... --grpc-port ..." others.',
  );
}

/** The embedded log is a whole database. */
export function checkEventLog(file: string): Check {
  if (!existsSync(file)) return fine('event log', 'none yet; it is made at the first start');
  try {
    const database = new DatabaseSync(file, { readOnly: true, timeout: 2_000 });
    try {
      const verdict = Object.values(database.prepare('PRAGMA quick_check(1)').get() ?? {})[0];
      if (verdict === 'ok') return fine('event log', file);
      return wrong(
        'event log',
        `${file}: ${String(verdict)}`,
        'Restore the file from a copy, or move it away and register the experts again.',
      );
    } finally {
      database.close();
    }
  } catch (fault) {
    const detail = `${file}: ${fault instanceof Error ? fault.message : 'not readable'}`;
    return wrong(
      'event log',
      detail,
      'Restore the file from a copy, or move it away and register the experts again.',
    );
  }
}

/** Every broker accepts a connection. */
export async function checkBrokers(brokers: readonly string[]): Promise<Check> {
  const answers = await Promise.all(
    brokers.map(async (broker) => ((await connects(broker)) ? [] : [broker])),
  );
  const silent = answers.flat();
  if (silent.length === 0) return fine('kafka', `${brokers.join(', ')} accept connections`);
  return wrong(
    'kafka',
    `no connection to ${silent.join(', ')}`,
    'Start the brokers, or correct the addresses in --kafka; a firewall may be in the way.',
  );
}

function connects(broker: string): Promise<boolean> {
  const match = /^(.+):(\d+)$/.exec(broker.trim());
  if (!match) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = createConnection({ host: match[1] ?? '', port: Number(match[2]), timeout: CONNECT_MS });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}

function nearestExisting(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : nearestExisting(dirname(folder));
}
