import { styleText } from 'node:util';
import { join } from 'node:path';
import type { Check } from '../doctor/check.js';
import { fine, wrong } from '../doctor/check.js';
import { checkSessions } from '../doctor/check-sessions.js';
import {
  checkBrokers,
  checkBuild,
  checkDataFolder,
  checkDisk,
  checkEventLog,
  checkNode,
  checkPorts,
  checkZoo,
} from '../doctor/machine-checks.js';
import { checkMemory, mebibytes, MEMORY_BUDGET_BYTES, sumOf } from '../doctor/memory.js';
import { EXIT } from '../exit-codes.js';
import { outputOf, type CommonOptions } from '../mesh-command.js';
import { isDataFolderTaken } from '../mesh/data-folder.js';
import { readMeshFile, type MeshFile, type MeshProcess } from '../mesh/mesh-file.js';
import { memoryOfTree, type ProcessMemory } from '../mesh/process-memory.js';
import { zooFolder } from '../mesh/zoo-index.js';
import { table } from '../output.js';

const PROBE_MS = 2_000;

/** Options of `doctor`. */
export interface DoctorOptions extends CommonOptions {
  readonly port: number;
  readonly grpcPort: number;
  readonly kafka?: string;
}

interface ProcessReport {
  readonly service: string;
  readonly pid: number;
  readonly ready: boolean;
  readonly reason: string;
  readonly memory: ProcessMemory;
}

/** Looks at the machine and at the running mesh, and says what to do about each fault. */
export async function run(options: DoctorOptions): Promise<void> {
  const mesh = readMesh(options.data);
  const isChanging = !mesh && isDataFolderTaken(options.data);
  const processes = mesh ? await processesOf(mesh) : [];
  const memory = sumOf(processes.map((process) => process.memory));
  const checks = [
    checkNode(),
    checkBuild(),
    await checkZoo(zooFolder()),
    checkDataFolder(options.data),
    checkDisk(options.data),
    // A mesh that is starting or stopping has its ports itself.
    ...(mesh || isChanging ? [] : [await portsOf(options)]),
    await checkBus(options, mesh),
    isChanging ? changing(options.data) : checkMesh(options.data, mesh, processes),
    await checkSessions(options.data),
    ...(mesh ? [checkMemory(memory)] : []),
  ];
  const total = {
    ...memory,
    budgetBytes: MEMORY_BUDGET_BYTES,
    withinBudget: memory.rssBytes <= MEMORY_BUDGET_BYTES,
  };
  outputOf(options).answer({ checks, processes, memory: total }, () => [
    ...checks.flatMap(checkLines),
    ...(processes.length === 0 ? [] : ['', ...processTable(processes, memory)]),
  ]);
  if (checks.some(({ ok }) => !ok)) process.exitCode = EXIT.negative;
}

/** A damaged file is reported by the check of the data folder. */
function readMesh(dataFolder: string): MeshFile | undefined {
  try {
    return readMeshFile(dataFolder);
  } catch {
    return undefined;
  }
}

function portsOf({ port, grpcPort }: DoctorOptions): Promise<Check> {
  return checkPorts([
    ['--port', port],
    ['--grpc-port', grpcPort],
  ]);
}

function checkBus({ kafka, data }: DoctorOptions, mesh: MeshFile | undefined): Check | Promise<Check> {
  const brokers = kafka ?? (mesh?.bus.kind === 'kafka' ? mesh.bus.brokers : undefined);
  return brokers === undefined
    ? checkEventLog(join(data, 'events.sqlite'))
    : checkBrokers(brokers.split(','));
}

function changing(dataFolder: string): Check {
  return fine('mesh', `one is starting or stopping on ${dataFolder}; ask again in a moment`);
}

function checkMesh(
  dataFolder: string,
  mesh: MeshFile | undefined,
  processes: readonly ProcessReport[],
): Check {
  if (!mesh) return fine('mesh', `none runs on ${dataFolder}; "npm start" starts one`);
  const since = `runs since ${mesh.startedAt} at ${mesh.http}`;
  const waiting = processes
    .filter(({ ready }) => !ready)
    .map(({ service, reason }) => `${service} (${reason})`);
  if (waiting.length === 0) return fine('mesh', since);
  const cure = `Look into ${join(dataFolder, 'logs')}; if it does not pass, stop the mesh and start it again.`;
  return wrong('mesh', `${since}; not ready: ${waiting.join(', ')}`, cure);
}

async function processesOf(mesh: MeshFile): Promise<ProcessReport[]> {
  const services = await Promise.all(mesh.processes.map(serviceReport));
  const launcher = {
    service: 'launcher',
    pid: mesh.pid,
    ready: true,
    reason: 'ready',
    memory: memoryOfTree(mesh.pid, true),
  };
  return [...services, launcher];
}

async function serviceReport({ service, pid, ops }: MeshProcess): Promise<ProcessReport> {
  const response =
    ops === undefined
      ? undefined
      : await fetch(`http://${ops}/readyz`, { signal: AbortSignal.timeout(PROBE_MS) }).catch(() => undefined);
  const reason = response === undefined ? 'does not answer' : (await response.text()).trim();
  return { service, pid, ready: response?.status === 200, reason, memory: memoryOfTree(pid, false) };
}

function checkLines({ name, ok, detail, cure }: Check): string[] {
  const mark = ok ? 'ok  ' : styleText('red', 'FAIL');
  return [`${mark} ${name}: ${detail}`, ...(cure === undefined ? [] : [`       ${cure}`])];
}

function processTable(processes: readonly ProcessReport[], memory: ProcessMemory): string[] {
  const rows = processes.map(({ service, pid, ready, memory: own }) => [
    service,
    String(pid),
    ready ? 'ready' : 'not ready',
    mebibytes(own.rssBytes),
    mebibytes(own.pssBytes),
  ]);
  return [
    ...table([
      ['process', 'pid', 'state', 'resident', 'own share'],
      ...rows,
      ['all', '', '', mebibytes(memory.rssBytes), mebibytes(memory.pssBytes)],
    ]),
    'own share: memory that processes share is divided among them (PSS)',
  ];
}
