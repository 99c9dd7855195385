import { isDigest, type ArtifactStore } from '@thalamus/bundle';
import { parseGate } from '@thalamus/compatibility';
import { releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { readFile } from 'node:fs/promises';
import { EXIT } from '../exit-codes.js';
import { outputOf, type CommonOptions } from '../mesh-command.js';
import { table } from '../output.js';
import { AS_CLI, withArtifacts, withService } from '../registry-client.js';
import { readProbes, readText } from '../release/text-file.js';
import { present, releaseJson, releaseLines, stateOf } from '../release/release-lines.js';
import { whileElecting } from '../retry.js';

const RELEASES = { name: 'updater', service: releaseV1.ReleaseService, deadlineMs: 60_000 };
const ELECTION_MS = 10_000;

type Client = Parameters<Parameters<typeof withService<typeof releaseV1.ReleaseService, unknown>>[2]>[0];

/** A file: its path, its bytes where they were read already, or the digest of a stored one. */
type Given = string | Uint8Array | undefined;

/** Options of `release start`. */
export interface StartOptions extends CommonOptions {
  readonly before?: string;
  readonly after?: string;
  readonly gate?: string;
  readonly probes?: string;
  readonly steps?: number[];
  readonly budget?: number;
  readonly samples: number;
  readonly stepSeconds: number;
  readonly mirror?: number;
  readonly mirrorPerSecond: number;
  readonly disagreement?: number;
  readonly errors?: number;
  readonly slower: number;
  readonly override?: string;
  readonly dryRun: boolean;
}

/** Options of verbs that are recorded. */
export interface ReasonOptions extends CommonOptions {
  readonly reason?: string;
}

/** Options of `release list`. */
export interface ListOptions extends CommonOptions {
  readonly expert?: string;
  readonly limit: number;
}

/** Begins a release; exit code 4 when it stops at once. @throws RELEASE_CONFLICT, EXPERT_NOT_FOUND, DATASET_INVALID */
export async function start(expert: string, toVersion: string, options: StartOptions): Promise<void> {
  const { before, after, steps, budget, samples, override, dryRun } = options;
  const gate = options.gate === undefined ? undefined : readGate(options.gate);
  const probes =
    options.probes === undefined || isDigest(options.probes) ? options.probes : readProbes(options.probes);
  const digests = await digestsOf([before, after, probes], options);
  const [oldDigest = '', newDigest = '', probesDigest = ''] = digests;
  const request = {
    ...{ expert, toVersion, oldDigest, newDigest, probesDigest, dryRun, steps: steps ?? [] },
    ...(gate ? { gate } : {}),
    ...{ negativeFlipBudget: budget ?? 0, minimumSamples: samples, stepSeconds: options.stepSeconds },
    ...(options.mirror === undefined ? {} : { mirrorShare: options.mirror }),
    ...{ mirrorPerSecond: options.mirrorPerSecond },
    ...{ disagreementLimit: options.disagreement ?? 0, errorLimit: options.errors ?? 0 },
    ...{ latencyTolerance: options.slower, overrideReason: override ?? '' },
  };
  const release = present((await withReleases(options, (client) => client.start(request, AS_CLI))).release);
  outputOf(options).answer(releaseJson(release), () => [
    ...releaseLines(release),
    ...(dryRun ? ['', 'No release has begun: this was a dry run.'] : []),
  ]);
  if (release.stopped !== '') process.exitCode = EXIT.negative;
}

/** The document of a gate, looked at before anything is asked. @throws CONFIG_INVALID that names file, line and field */
function readGate(path: string): Uint8Array {
  const text = readText(path);
  parseGate(text, path);
  return Buffer.from(text);
}

/** Prints where a release stands. @throws RESOURCE_NOT_FOUND */
export async function status(id: string, options: CommonOptions): Promise<void> {
  const { release } = await withReleases(options, (client) => client.getRelease({ id }));
  outputOf(options).answer(releaseJson(present(release)), () => releaseLines(present(release)));
}

/** Prints releases, newest first. */
export async function list({ expert, limit, ...options }: ListOptions): Promise<void> {
  const request = { expert: expert ?? '', pageSize: limit };
  const { releases } = await withReleases(options, (client) => client.listReleases(request));
  outputOf(options).answer(releases.map(releaseJson), () =>
    releases.length === 0
      ? ['No releases.']
      : table([
          ['release', 'expert', 'from', 'to', 'state', 'traffic', 'waits for'],
          ...releases.map((release) => [
            ...[release.id, release.expert, release.fromVersion, release.toVersion, stateOf(release)],
            `${(release.weight * 100).toFixed(0)} %`,
            release.stopped || release.waitingFor,
          ]),
        ]),
  );
}

/** Moves a release one step on. @throws RESOURCE_NOT_FOUND, RELEASE_CONFLICT */
export async function advance(releaseId: string, options: ReasonOptions): Promise<void> {
  const request = { releaseId, reason: options.reason ?? '' };
  const { release } = await withReleases(options, (client) => client.advance(request, AS_CLI));
  outputOf(options).answer(releaseJson(present(release)), () => releaseLines(present(release)));
}

/** Makes a version stable: that of a release, or one that is named. @throws EXPERT_NOT_FOUND, RESOURCE_NOT_FOUND, RELEASE_CONFLICT */
export async function promote(
  what: string,
  version: string | undefined,
  options: ReasonOptions,
): Promise<void> {
  const reason = options.reason ?? '';
  const request = version === undefined ? { releaseId: what, reason } : { expert: what, version, reason };
  const done = await withReleases(options, (client) => client.promote(request, AS_CLI));
  const { expert, version: stable, previousVersion } = done;
  outputOf(options).answer({ expert, version: stable, previousVersion, channel: 'stable' }, () => [
    previousVersion === stable
      ? `${expert}@${stable} was stable already.`
      : `${expert}@${stable} is stable now.`,
  ]);
}

/** Takes a candidate back. @throws RESOURCE_NOT_FOUND, RELEASE_CONFLICT */
export async function rollback(releaseId: string, options: ReasonOptions): Promise<void> {
  const request = { releaseId, reason: options.reason ?? '' };
  const { release } = await withReleases(options, (client) => client.rollBack(request, AS_CLI));
  outputOf(options).answer(releaseJson(present(release)), () => releaseLines(present(release)));
}

/** Work with the updater, again while it elects its writer: what was refused so has not been begun. */
export function withReleases<T>(
  options: Pick<CommonOptions, 'data'>,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  return withService(options, RELEASES, (client) => whileElecting(ELECTION_MS, () => work(client)));
}

/** Digests of prediction files and probes; those of this machine are stored first. */
async function digestsOf(files: readonly Given[], options: Pick<CommonOptions, 'data'>): Promise<string[]> {
  if (files.every(isStored)) return files.map((file) => (typeof file === 'string' ? file : ''));
  return withArtifacts(options, (store) => Promise.all(files.map((file) => stored(file, store))));
}

function isStored(file: Given): boolean {
  return file === undefined || (typeof file === 'string' && isDigest(file));
}

async function stored(file: Given, store: ArtifactStore): Promise<string> {
  if (file === undefined) return '';
  if (typeof file !== 'string') return (await store.put(file)).digest;
  if (isDigest(file)) return file;
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    const text = `The file ${file} cannot be read; name a JSONL file, or the digest of a stored one.`;
    throw new ThalamusError('DATASET_INVALID', text, { cause });
  }
  return (await store.put(bytes)).digest;
}
