import type { JsonObject } from '@bufbuild/protobuf';
import { JOB_ARTIFACTS, JOB_KINDS, type jobV1 } from '@thalamus/contracts';
import { parseDigest } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { Command, Option } from 'commander';
import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { MeshOptions } from '../gateway-client.js';
import { followJob } from '../jobs/follow-job.js';
import { jobJson } from '../jobs/job-lines.js';
import { submitJob, withJobs } from '../jobs/job-client.js';
import { registerData, withArtifacts } from '../jobs/register-data.js';
import { collect, wholeNumber } from '../mesh-command.js';
import { defaultDataFolder } from '../mesh/mesh-file.js';
import { createOutput } from '../output.js';

/** SPDX's word for a licence that nobody has stated. */
const NO_LICENCE_STATED = 'NOASSERTION';

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

interface TrainOptions extends DataOptions {
  readonly name: string;
  readonly test?: string;
  readonly base?: string;
  readonly channel: string;
  readonly seed: number;
  readonly description?: string;
}

interface EvaluateOptions extends DataOptions {
  readonly out?: string;
}

/** Figures of a version, as a job's result holds them. */
interface Figure {
  readonly dataset: string;
  readonly split: string;
  readonly metric: string;
  readonly value: number;
  readonly n: number;
}

/** `thalamus experts train`. */
export function trainCommand(): Command {
  return dataCommand(
    'train',
    'train a probe expert on labelled texts and register it; Ctrl-C cancels the job',
  )
    .requiredOption('--name <expert>', 'expert that gets a new version; made when it is not known')
    .option('--test <csv>', 'rows that the result is judged on; default: 15 % of the data are held out')
    .option('--base <name@version>', 'base to train on; default: the only one that is registered')
    .addOption(
      new Option('--channel <channel>', 'channel that gets the new version of a known expert')
        .choices(['candidate', 'stable', 'none'])
        .default('candidate'),
    )
    .option('--seed <seed>', 'chooses the rows that are held out', wholeNumber(0, 2_147_483_647), 0)
    .option('--description <text>', 'what the expert is good at')
    .action(train);
}

/** `thalamus experts evaluate`. */
export function evaluateCommand(): Command {
  return dataCommand(
    'evaluate',
    'answer labelled texts with an expert and measure it; Ctrl-C cancels the job',
  )
    .argument('<expert>', 'name, or name@version; default: the stable version')
    .option('--out <jsonl>', 'write the predictions to this file, for "thalamus release compare"')
    .action(evaluate);
}

function dataCommand(name: string, description: string): Command {
  return (
    new Command(name)
      .description(description)
      .option('--data <csv>', 'CSV file with the columns text and label, optionally id and slice')
      .option('--dataset <name@version>', 'registered data set, instead of a file')
      .option('--licence <spdx>', 'licence of the file', NO_LICENCE_STATED)
      .option('--origin <text>', 'where the file comes from', 'not stated')
      .option('--ignore-column <name>', 'column of the file that is left alone; may be repeated', collect, [])
      .option('--detach', 'submit the job and return', false)
      .option('--json', 'print one JSON document', false)
      // eslint-disable-next-line no-restricted-syntax -- the command line is where its environment is read
      .option('--mesh <folder>', 'data folder of the mesh', defaultDataFolder(process.env))
  );
}

async function train(options: TrainOptions): Promise<void> {
  const { name, test, base, channel, seed, description, licence } = options;
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
    seed,
    ignoredColumns: [...options.ignoreColumn],
    ...(testDataset === undefined ? {} : { testDataset }),
    ...(base === undefined ? {} : { base }),
    ...(description === undefined ? {} : { description }),
    ...(licence === NO_LICENCE_STATED ? {} : { licence }),
  });
  if (!job) return;
  const { expert, version, labels, trainingRows } = job.result as Record<string, unknown>;
  const made = `${String(expert)}@${String(version)}`;
  createOutput(options.json).answer(jobJson(job), () => [
    `${made} is registered: ${String(labels)} labels, trained on ${String(trainingRows)} rows of ${dataset}.`,
    ...figureLines(job),
    '',
    `  npx thalamus ask "..." --model ${made}`,
  ]);
}

async function evaluate(expertText: string, options: EvaluateOptions): Promise<void> {
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
  if (options.out !== undefined) await download(options, digest, options.out);
  const judged = (job.result as Record<string, unknown>)['version'];
  createOutput(options.json).answer(jobJson(job), () => [
    `${expert}@${String(judged)} on ${dataset}:`,
    ...figureLines(job),
    `  predictions ${options.out ?? digest}`,
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
