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
import { requirePlaceFor } from '../training/require-place.js';
import { isTextFile } from '../training/read-lines.js';

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
  /** The rows are texts, for a masked language model; known by itself for a file. */
  readonly texts: boolean;
  /** Masked language model, name@version, that training begins with. */
  readonly from?: string;
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
  const { test, from } = options;
  const isTexts = options.texts || (options.data !== undefined && isTextFile(options.data));
  const method = options.method ?? (isTexts ? 'lora' : 'probe');
  refuseMixedUp(options, isTexts, method);
  const settings = hyperParametersOf(options, method);
  const name = options.name ?? options.task?.toLowerCase().replaceAll('_', '-');
  if (name === undefined)
    throw usage('Name the expert with --name, or train into a folder with --task and --out.');
  const dataset = await datasetOf(options, name, 'train');
  const testFacts = { ...factsOf(options), name: `${name}-test`, split: 'test' } as const;
  const job = await runJob(options, JOB_KINDS.train, {
    expert: name,
    dataset,
    ...(isTexts ? { task: 'fill-mask' } : {}),
    ...(from === undefined ? {} : { startFrom: from }),
    method,
    ...settings,
    ...(test === undefined ? {} : { testDataset: await registerData(meshOf(options), test, testFacts) }),
    ...wishesOf(options),
  });
  if (!job) return;
  const { expert, version, kind, labels, trainingRows } = job.result as Record<string, unknown>;
  const made = `${String(expert)}@${String(version)}`;
  createOutput(options.json).answer(jobJson(job), () => [
    `${made} is registered: ${String(kind)}, ${isTexts ? 'masked words' : `${String(labels)} labels`}, trained on ${String(trainingRows)} rows of ${dataset}.`,
    ...figureLines(job),
    '',
    isTexts
      ? `  npx thalamus experts evaluate ${made} --data more.jsonl`
      : `  npx thalamus ask "..." --model ${made}`,
  ]);
}

/** What is the same for every kind of training. */
function wishesOf(options: TrainOptions): JsonObject {
  const { base, channel, seed, description, licence, keepMethod, ignoreColumn } = options;
  return {
    channel,
    seed,
    keepMethod,
    ignoredColumns: [...ignoreColumn],
    ...(base === undefined ? {} : { base }),
    ...(description === undefined ? {} : { description }),
    ...(licence === NO_LICENCE_STATED ? {} : { licence }),
  };
}

/** Before anything is sent. @throws CONFIG_INVALID for options of the other kind of training */
function refuseMixedUp(
  { from, data, test, ignoreColumn }: TrainOptions,
  isTexts: boolean,
  method: TrainingMethod,
) {
  if (!isTexts && from !== undefined)
    throw usage('--from is for masked language models; leave it away, or give a JSONL file of texts.');
  if (isTexts && method !== 'lora')
    throw usage(`Masked language models are trained as lora; leave --method ${method} away.`);
  if (isTexts && ignoreColumn.length > 0)
    throw usage('A file of texts has no columns; leave --ignore-column away, or give a CSV file.');
  if (isTexts && data !== undefined && !isTextFile(data))
    throw usage(`${data} is no file of texts; give JSONL, or leave --texts away.`);
  if (test !== undefined && isTextFile(test) !== isTexts)
    throw usage(`--test ${test} must be ${isTexts ? 'JSONL texts' : 'a CSV file'}, as the rows are.`);
}

function usage(message: string): ThalamusError {
  return new ThalamusError('CONFIG_INVALID', message);
}

/** Measures an expert and prints its figures. @throws DATASET_INVALID, EXPERT_NOT_FOUND, and the error of the job */
export async function evaluate(expertText: string, options: EvaluateOptions): Promise<void> {
  requirePlaceFor(options.predictions);
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
  return { data: mesh, dataOption: '--mesh' };
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
