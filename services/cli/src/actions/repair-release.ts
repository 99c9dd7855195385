import type { JsonObject } from '@bufbuild/protobuf';
import { releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT } from '../exit-codes.js';
import type { MeshOptions } from '../gateway-client.js';
import { followJob } from '../jobs/follow-job.js';
import { withJobs } from '../jobs/job-client.js';
import { registerData } from '../jobs/register-data.js';
import { createOutput } from '../output.js';
import { AS_CLI } from '../registry-client.js';
import { present, releaseJson, releaseLines } from '../release/release-lines.js';
import { withReleases } from './release-rollout.js';
import type { RepairOptions } from './repair-local.js';

/** What both ways to repair are told. */
type SharedOptions = Pick<
  RepairOptions,
  | ('json' | 'data' | 'test' | 'method' | 'description' | 'licence' | 'origin' | 'ignoreColumn' | 'seed')
  | ('epochs' | 'rate' | 'headRate' | 'batch' | 'maxTokens' | 'mesh')
>;

/** Options of `release repair --release`; `data` and `test` may also be registered NAME@VERSION. */
export interface RepairReleaseOptions extends SharedOptions {
  readonly release: string;
  readonly detach: boolean;
}

const REGISTERED = /^[a-z0-9][a-z0-9-]{0,62}@[1-9]\d*$/;
const { DRAFT, COMPARED } = releaseV1.ReleaseState;
const BEFORE_TRAFFIC: readonly releaseV1.ReleaseState[] = [DRAFT, COMPARED];
const LOOK_MS = 250;
/** How long taking what the job made may take, milliseconds. */
const TAKEN_WITHIN_MS = 120_000;

/**
 * Has the candidate of a release repaired by a job, follows it, and says where the release stands then. Ctrl-C cancels the job.
 * @throws RESOURCE_NOT_FOUND, RELEASE_CONFLICT, REQUEST_INVALID, DATASET_INVALID, and the error of the job
 */
export async function repairRelease(options: RepairReleaseOptions): Promise<void> {
  const { release: id, json, detach } = options;
  const mesh: MeshOptions = { data: options.mesh, dataOption: '--mesh' };
  const find = async () => present((await withReleases(mesh, (client) => client.getRelease({ id }))).release);
  const { expert } = await find();
  const dataset = await rowsOf(options, mesh, options.data, { name: `${expert}-repair`, split: 'train' });
  const test = options.test;
  const testDataset =
    test === undefined
      ? undefined
      : await rowsOf(options, mesh, test, { name: `${expert}-repair-test`, split: 'test' });
  const request = { releaseId: id, dataset, parameters: parametersOf(options, testDataset) };
  const { jobId, release } = await withReleases(mesh, (client) => client.repair(request, AS_CLI));
  if (detach) {
    createOutput(json).answer(releaseJson(present(release)), () => [
      `Job ${jobId} repairs ${id}; "thalamus jobs watch ${jobId}" follows it, "thalamus release status ${id}" says what became of it.`,
    ]);
    return;
  }
  if (!(await withJobs(mesh, (jobs) => followJob(jobs, jobId, json)))) return;
  const after = await untilTaken(find, jobId);
  createOutput(json).answer(releaseJson(after), () => releaseLines(after));
  if (after.stopped !== '') process.exitCode = EXIT.negative;
}

/** NAME@VERSION of rows: those of a file are registered. */
async function rowsOf(
  { licence, origin, ignoreColumn }: RepairReleaseOptions,
  mesh: MeshOptions,
  rows: string,
  facts: { readonly name: string; readonly split: 'train' | 'test' },
): Promise<string> {
  if (REGISTERED.test(rows)) return rows;
  return registerData(mesh, rows, { ...facts, licence, origin, ignoredColumns: ignoreColumn });
}

function parametersOf(options: RepairReleaseOptions, testDataset: string | undefined): JsonObject {
  const { method, seed, epochs, rate, headRate, batch: rowsPerBatch, maxTokens, description } = options;
  const given = { testDataset, epochs, rate, headRate, rowsPerBatch, maxTokens, description };
  const ignoredColumns = [...options.ignoreColumn];
  const all = { method, seed, ignoredColumns, ...given };
  return JSON.parse(JSON.stringify(all)) as JsonObject;
}

/** The release once what the job made was taken, or was not. @throws DEADLINE_EXCEEDED */
async function untilTaken(find: () => Promise<releaseV1.Release>, jobId: string): Promise<releaseV1.Release> {
  const until = performance.now() + TAKEN_WITHIN_MS;
  for (;;) {
    const release = await find();
    const { repair } = release;
    // Another way that the release went meanwhile ends the wait, too.
    const isWaiting = repair?.jobId === jobId && !repair.ended && BEFORE_TRAFFIC.includes(release.state);
    if (!isWaiting) return release;
    if (performance.now() > until)
      throw new ThalamusError(
        'DEADLINE_EXCEEDED',
        `Job ${jobId} has ended, and the release ${release.id} still waits: ${release.waitingFor} "thalamus release status ${release.id}" says more.`,
      );
    await sleep(LOOK_MS);
  }
}
