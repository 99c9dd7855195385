import { parseDigest } from '@thalamus/bundle';
import { JOB_ARTIFACTS, type jobV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import {
  joinParts,
  lossTableFile,
  makeTableRun,
  PartialTable,
  runDigest,
  writeWhole,
  type TableExpert,
  type TableRun,
} from '@thalamus/training';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { runningMesh, type MeshOptions } from '../gateway-client.js';
import { followTable, measuredBy } from '../jobs/follow-table.js';
import { withJobs } from '../jobs/job-client.js';
import { jobJson } from '../jobs/job-lines.js';
import { registerRows } from '../jobs/register-data.js';
import { submitTable } from '../jobs/submit-table.js';
import { createOutput } from '../output.js';
import { withArtifacts } from '../registry-client.js';
import { readPrompts } from '../router/read-prompts.js';
import { registeredExperts } from '../router/registered-experts.js';
import { tableAnswer, tableFacts, tableLines, type TableOptions } from '../router/table-answer.js';
import { TablePlace } from '../router/table-place.js';

/** Fewest parts of a table when nobody says how many. */
const FEWEST_PARTS = 2;

/** Options of `router table` for experts of the mesh. */
export interface MeshTableOptions extends TableOptions {
  readonly mesh: string;
  /** Base of the registry, name@version. */
  readonly base?: string;
  readonly parts?: number;
  readonly detach: boolean;
}

type Run = TableRun<TableExpert>;

/**
 * Measures registered experts on prompts as jobs of the mesh, follows these, and joins what they have measured to the table that one
 * process would have written. The same command again finds the jobs that it began.
 * @throws EXPERT_NOT_FOUND, CONFIG_INVALID, METHOD_UNSUPPORTED, DATASET_INVALID before anything is sent; the error of a job
 */
export async function routerTable(options: MeshTableOptions): Promise<void> {
  const mesh: MeshOptions = { data: options.mesh, dataOption: '--mesh' };
  const experts = await registeredExperts(mesh, options.experts);
  const bytes = readPrompts(options.prompts);
  const run = makeTableRun(experts, { bytes, file: options.prompts }, options);
  const place = TablePlace.take(options.out);
  try {
    const { licence, origin } = options;
    const facts = { name: dataName(options.prompts), split: 'train', licence, origin } as const;
    const dataset = await registerRows(mesh, { bytes, count: run.prompts.length }, facts);
    const startedAt = performance.now();
    const total = run.prompts.length * experts.length;
    const followed = await withJobs(mesh, async (client) => {
      const jobs = await submitTable(client, {
        run: runDigest(run),
        task: run.task,
        experts: experts.map(({ folder }) => folder),
        dataset,
        base: options.base,
        parts: options.parts ?? partsOf(mesh),
        masks: options.masks,
        seed: options.seed,
      });
      if (options.detach) {
        submitted(jobs, options.json);
        return undefined;
      }
      const before = jobs.reduce((sum, job) => sum + measuredBy(job), 0);
      const ended = await followTable(client, { jobs, total, json: options.json });
      return ended && { ended, measured: total - before };
    });
    if (!followed) return;
    const seconds = (performance.now() - startedAt) / 1000;
    const table = await joined(mesh, run, followed.ended, options);
    await writeWhole(place.path, table.bytes);
    const answer = tableAnswer(run, table, { path: place.path, measured: followed.measured, seconds });
    createOutput(options.json).answer(answer, () => tableLines(answer, options.out));
  } finally {
    place.leave();
  }
}

/** The table of what the jobs have measured, each a part. @throws METHOD_UNSUPPORTED, ARTIFACT_CORRUPT, ARTIFACT_NOT_FOUND */
async function joined(mesh: MeshOptions, run: Run, jobs: readonly jobV1.Job[], options: TableOptions) {
  const digest = runDigest(run);
  const folder = await mkdtemp(join(tmpdir(), 'thalamus-table-'));
  const tables: PartialTable[] = [];
  try {
    await withArtifacts(mesh, async (store) => {
      for (const { id, result, outputs } of jobs) {
        if (result?.['run'] !== digest)
          throw new ThalamusError(
            'METHOD_UNSUPPORTED',
            `Job ${id} has measured otherwise than this command does: worker and command line are of different versions. Upgrade the older one and run the command again.`,
          );
        const losses = outputs.find(({ name }) => name === JOB_ARTIFACTS.losses)?.digest ?? '';
        const path = join(folder, `${id}.jsonl`);
        await pipeline(store.get(parseDigest(losses)), createWriteStream(path));
        tables.push(PartialTable.open(path, digest));
      }
    });
    return await lossTableFile(run, joinParts(run, tables), tableFacts(options));
  } finally {
    for (const table of tables) table.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function submitted(jobs: readonly jobV1.Job[], json: boolean): void {
  createOutput(json).answer({ jobs: jobs.map(jobJson) }, () => [
    ...jobs.map(({ id }, at) => `Job ${id} measures part ${at + 1} of ${jobs.length}.`),
    'The same command without --detach follows them, and writes the table when all are done.',
  ]);
}

/** A part for each worker of the mesh. */
function partsOf(mesh: MeshOptions): number {
  const workers = runningMesh(mesh).processes.filter(({ service }) => service === 'worker').length;
  return Math.max(FEWEST_PARTS, workers);
}

/** What a file of prompts is registered as: its name, as far as the registry takes it. */
function dataName(path: string): string {
  const name = basename(path)
    .replace(/\.jsonl?$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return name.slice(0, 63).replace(/-+$/, '') || 'prompts';
}
