import type { Command } from 'commander';
import { statfsSync } from 'node:fs';
import { EXIT } from '../exit-codes.js';
import { meshCommand, outputOf, type CommonOptions } from '../mesh-command.js';
import { readMeshFile, type MeshProcess } from '../mesh/mesh-file.js';
import { memoryOfTree } from '../mesh/process-memory.js';
import { table } from '../output.js';

const MEBIBYTE = 2 ** 20;
const MIN_FREE_BYTES = 512 * MEBIBYTE;

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** `thalamus doctor`: what is there, what runs, what it takes. */
export function doctorCommand(): Command {
  return meshCommand('doctor', 'check this machine and the running mesh').action(run);
}

async function run(options: CommonOptions): Promise<void> {
  const mesh = readMeshFile(options.data);
  const checks: Check[] = [node(), disk(options.data)];
  const services = await Promise.all((mesh?.processes ?? []).map(serviceReport));
  const launcher = mesh ? memoryOfTree(mesh.pid, true) : undefined;
  const total = {
    rssBytes: services.reduce((sum, { memory }) => sum + memory.rssBytes, launcher?.rssBytes ?? 0),
    pssBytes: services.reduce((sum, { memory }) => sum + memory.pssBytes, launcher?.pssBytes ?? 0),
  };
  checks.push({
    name: 'mesh',
    ok: mesh !== undefined && services.every(({ ready }) => ready),
    detail: mesh
      ? `runs since ${mesh.startedAt} at ${mesh.http}`
      : `none runs on ${options.data}; "npm start" starts one`,
  });
  const rows = services.map(({ service, pid, ready, reason, memory }) => [
    service,
    String(pid),
    ready ? 'ready' : `not ready: ${reason}`,
    mebibytes(memory.rssBytes),
    mebibytes(memory.pssBytes),
  ]);
  outputOf(options).answer({ checks, services, memory: total }, () => [
    ...checks.map(({ name, ok, detail }) => `${ok ? 'ok  ' : 'FAIL'} ${name}: ${detail}`),
    ...(rows.length === 0
      ? []
      : [
          '',
          ...table([
            ['service', 'pid', 'state', 'resident', 'own share'],
            ...rows,
            [
              'launcher',
              String(mesh?.pid ?? 0),
              '',
              mebibytes(launcher?.rssBytes ?? 0),
              mebibytes(launcher?.pssBytes ?? 0),
            ],
            ['all', '', '', mebibytes(total.rssBytes), mebibytes(total.pssBytes)],
          ]),
          'own share: memory shared between processes is counted once (PSS)',
        ]),
  ]);
  if (checks.some(({ ok }) => !ok)) process.exitCode = EXIT.negative;
}

async function serviceReport({ service, pid, ops }: MeshProcess) {
  const response =
    ops === undefined
      ? undefined
      : await fetch(`http://${ops}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
  const reason = response === undefined ? 'does not answer' : (await response.text()).trim();
  return { service, pid, ready: response?.status === 200, reason, memory: memoryOfTree(pid, false) };
}

function node(): Check {
  const major = Number(process.versions.node.split('.')[0]);
  return {
    name: 'node',
    ok: major === 24,
    detail: `${process.version} (${process.platform} ${process.arch})`,
  };
}

function disk(folder: string): Check {
  try {
    const { bavail, bsize } = statfsSync(folder);
    const free = bavail * bsize;
    return { name: 'disk', ok: free > MIN_FREE_BYTES, detail: `${mebibytes(free)} free for ${folder}` };
  } catch {
    return { name: 'disk', ok: true, detail: `${folder} does not exist yet` };
  }
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / MEBIBYTE)} MiB`;
}
