import type { JsonObject } from '@bufbuild/protobuf';
import { JOB_ARTIFACTS, JOB_KINDS, type jobV1, type TrainingMethod } from '@thalamus/contracts';
import { parseDigest } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { MeshOptions } from '../gateway-client.js';
import { followJob } from '../jobs/follow-job.js';
import { jobJson } from '../jobs/job-lines.js';
import { submitJob, withJobs } from '../jobs/job-client.js';
import { NO_LICENCE_STATED } from '../jobs/no-licence-stated.js';
import { registerData } from '../jobs/register-data.js';
import { withArtifacts } from '../registry-client.js';
import { createOutput } from '../output.js';
import { hyperParametersOf } from '../training/hyper-options.js';

/** Options as they are typed: here `--data` names the rows, as everybody expects, and `--mesh` the mesh's folder. */
interface DataOptions {
  readonly json: boolean;
  readonly mesh: string;
  readonly data?: string;
  readonly dataset?: string;
  readonly licence: string;
  readonly origin: string;
  readonly ignoreColumn: readonly string[];
  readonly detach: boolean;
}

/** Options of `experts train`. */
export interface TrainOptions extends DataOptions {
  readonly name?: string;
  readonly task?: string;
  readonly test?: string;
  readonly base?: string;
  readonly channel: string;
  readonly seed: number;
  readonly description?: string;
  readonly method?: TrainingMethod;
  readonly keepMethod: boolean;
}

/** Options of `experts evaluate`. */
export interface EvaluateOptions extends DataOptions {
  readonly predictions?: string;
}

/** Figures of a version, as a job's result holds them. */
interface Figure {
  readonly dataset: string;
  readonly split: string;
  readonly metric: string;
  readonly value: number;
  readonly n: number;
}

/** Trains an expert and prints its figures. @throws DATASET_INVALID, and the error of the job */
export async function train(options: TrainOptions): Promise<void> {
  const { test, base, channel, seed, description, licence, method = 'probe', keepMethod } = options;
  const settings = hyperParametersOf(options, method);
  const name = options.name ?? options.task?.toLowerCase().replaceAll('_', '-');
  if (name === undefined)
    throw new ThalamusError(
      'CONFIG_INVALID',
      'Name the expert with --name, or train into a folder with --task and --out.',
    );
  const dataset = await datasetOf(options, name, 'train');
  const testDataset =
    test === undefined
      ? undefined
      : await registerData(meshOf(options), test, {
          ...factsOf(options),
          name: `${name}-test`,
          split: 'test',
        });
  const job = await runJob(options, JOB_KINDS.train, {
    expert: name,
    dataset,
    channel,
    method,
    keepMethod,
    ...settings,
    seed,
    ignoredColumns: [...options.ignoreColumn],
    ...(testDataset === undefined ? {} : { testDataset }),
    ...(base === undefined ? {} : { base }),
    ...(description === undefined ? {} : { description }),
    ...(licence === NO_LICENCE_STATED ? {} : { licence }),
  });
  if (!job) return;
  const { expert, version, kind, labels, trainingRows } = job.result as Record<string, unknown>;
  const made = `${String(expert)}@${String(version)}`;
  createOutput(options.json).answer(jobJson(job), () => [
    `${made} is registered: ${String(kind)}, ${String(labels)} labels, trained on ${String(trainingRows)} rows of ${dataset}.`,
    ...figureLines(job),
    '',
    `  npx thalamus ask "..." --model ${made}`,
  ]);
}

/** Measures an expert and prints its figures. @throws DATASET_INVALID, EXPERT_NOT_FOUND, and the error of the job */
export async function evaluate(expertText: string, options: EvaluateOptions): Promise<void> {
  const [expert = '', version] = expertText.split('@');
  const dataset = await datasetOf(options, `${expert}-test`, 'test');
  const job = await runJob(options, JOB_KINDS.evaluate, {
    expert,
    dataset,
    ignoredColumns: [...options.ignoreColumn],
    ...(version === undefined ? {} : { version }),
  });
  if (!job) return;
  const digest = job.outputs.find(({ name }) => name === JOB_ARTIFACTS.predictions)?.digest ?? '';
  if (options.predictions !== undefined) await download(options, digest, options.predictions);
  const judged = (job.result as Record<string, unknown>)['version'];
  createOutput(options.json).answer(jobJson(job), () => [
    `${expert}@${String(judged)} on ${dataset}:`,
    ...figureLines(job),
    `  predictions ${options.predictions ?? digest}`,
  ]);
}

/** Submits a job and shows it to its end; undefined when there is nothing more to say. */
async function runJob(
  options: DataOptions,
  kind: string,
  parameters: JsonObject,
): Promise<jobV1.Job | undefined> {
  return withJobs(meshOf(options), async (jobs) => {
    const job = await submitJob(jobs, { kind, parameters, idempotencyKey: randomUUID() });
    if (!options.detach) return followJob(jobs, job.id, options.json);
    createOutput(options.json).answer(jobJson(job), () => [
      `Job ${job.id} is submitted; "thalamus jobs watch ${job.id}" follows it.`,
    ]);
    return undefined;
  });
}

async function datasetOf(options: DataOptions, name: string, split: 'train' | 'test'): Promise<string> {
  const { data, dataset } = options;
  if ((data === undefined) === (dataset === undefined))
    throw new ThalamusError(
      'CONFIG_INVALID',
      'Name the rows: either a file with --data, or a registered data set with --dataset.',
    );
  if (dataset !== undefined) return dataset;
  return registerData(meshOf(options), data ?? '', { ...factsOf(options), name, split });
}

function factsOf({ licence, origin, ignoreColumn }: DataOptions) {
  return { licence, origin, ignoredColumns: ignoreColumn };
}

function meshOf({ mesh }: DataOptions): MeshOptions {
  return { data: mesh };
}

async function download(options: DataOptions, digest: string, path: string): Promise<void> {
  await withArtifacts(meshOf(options), (store) =>
    pipeline(store.get(parseDigest(digest)), createWriteStream(path)),
  );
}

function figureLines(job: jobV1.Job): string[] {
  const { evaluation } = job.result as unknown as { readonly evaluation: readonly Figure[] };
  return evaluation.map(
    ({ dataset, split, metric, value, n }) =>
      `  ${split.padEnd(10)} ${metric.padEnd(17)} ${value.toFixed(4)}  (${dataset}, n ${n})`,
  );
}
