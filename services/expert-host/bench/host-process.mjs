import { FolderArtifactStore, importBundle } from '@thalamus/bundle';
import { inference, registryV1, TOPICS } from '@thalamus/contracts';
import { EmbeddedEventBus, encodeEvent, topicSpec } from '@thalamus/events';
import { createClient } from '@thalamus/grpc';
import { CALIBRATION_FILE, JsonCalibrationFile } from '@thalamus/inference';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const { FULL, LOWRANK, PROBE } = registryV1.ExpertKind;
const KINDS = { full: FULL, lowrank: LOWRANK, probe: PROBE };

/** Folder of the base encoder of the zoo. */
export const BASE_FOLDER = join(root, 'zoo/base/minilm-l6');

/**
 * Starts a real expert host over the zoo's base, its experts (default: all of them) and more bundles, with a log and a store of its
 * own.
 */
export async function startHost(environment = {}, more = [], { experts: names } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'thalamus-bench-'));
  const busFile = join(folder, 'events.sqlite');
  const store = new FolderArtifactStore(join(folder, 'artifacts'));
  const experts = (names ?? readdirSync(join(root, 'zoo/experts'))).map((name) =>
    join(root, 'zoo/experts', name),
  );
  const bus = new EmbeddedEventBus({ file: busFile });
  await bus.start();
  await bus.ensureTopics(Object.values(TOPICS).map(topicSpec));
  let revision = 0n;
  const publish = (key, value) => {
    revision += 1n;
    return bus.publish([
      encodeEvent(TOPICS.registryState, { key, revision, value }, { source: '/bench', key }),
    ]);
  };
  for (const bundle of [BASE_FOLDER, ...experts, ...more]) {
    const { manifest, digest } = await importBundle(bundle, store);
    const version = {
      expert: manifest.name,
      version: manifest.version,
      kind: KINDS[manifest.kind],
      task: manifest.task,
      manifestDigest: digest,
      baseDigest: manifest.base?.digest ?? '',
      sizeBytes: BigInt(manifest.files.reduce((sum, { bytes }) => sum + bytes, 0)),
    };
    const expert = { name: manifest.name, task: manifest.task, stable: manifest.version };
    await publish(`version/${manifest.name}@${manifest.version}`, { case: 'version', value: version });
    await publish(`expert/${manifest.name}`, { case: 'expert', value: expert });
  }
  await bus.close();
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const startedAt = performance.now();
  const child = fork(fileURLToPath(new URL('../dist/main.js', import.meta.url)), [], {
    // Flags and allocator settings of `thalamus up`.
    execArgv: [
      '--import',
      import.meta.resolve('@thalamus/telemetry/register'),
      '--max-semi-space-size=2',
      '--expose-gc',
    ],
    env: {
      ...process.env,
      MALLOC_ARENA_MAX: '2',
      MALLOC_MMAP_THRESHOLD_: '131072',
      THALAMUS_BUS: 'embedded',
      THALAMUS_BUS_FILE: busFile,
      THALAMUS_ARTIFACTS: 'folder',
      THALAMUS_ARTIFACTS_FOLDER: join(folder, 'artifacts'),
      THALAMUS_DATA: join(folder, 'data'),
      THALAMUS_GRPC_PORT: String(port),
      THALAMUS_HTTP_PORT: '0',
      THALAMUS_OPS_PORT: '0',
      THALAMUS_LOG_LEVEL: 'warn',
      ...environment,
    },
  });
  const [message] = await once(child, 'message');
  if (message.kind !== 'ready') throw new Error(`the host did not start: ${message.message}`);
  const readyMs = performance.now() - startedAt;
  const client = createClient(inference.GRPCInferenceService, {
    address: `127.0.0.1:${port}`,
    defaultDeadlineMs: 60_000,
  });
  const stop = async () => {
    client.close();
    child.kill('SIGTERM');
    await once(child, 'exit');
    rmSync(folder, { recursive: true, force: true });
  };
  const calibrated = (withinMs) => calibrationIn(join(folder, 'data', CALIBRATION_FILE), withinMs);
  return { client, port, pid: child.pid, child, readyMs, calibrated, stop };
}

/** How the host chose to make sessions, once it has; undefined when others kept the machine busy for so long. */
async function calibrationIn(path, withinMs) {
  for (const until = performance.now() + withinMs; performance.now() < until;) {
    const kept = await new JsonCalibrationFile(path).read();
    if (kept) return kept;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return undefined;
}

/** Process ids of the direct children of a process. */
export function childrenOf(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean)
    .map(Number);
}

/** Resident and proportional set of a process in MiB (Linux). */
export function memoryOf(pid) {
  const read = (text, name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0) / 1024;
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return {
    rssMiB: read(rollup, 'Rss'),
    pssMiB: read(rollup, 'Pss'),
    privateMiB: read(rollup, 'Private_Dirty') + read(rollup, 'Private_Clean'),
  };
}

/** CPU time of a process so far, milliseconds. */
export function cpuMsOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
