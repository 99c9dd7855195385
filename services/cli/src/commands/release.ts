import { isDigest } from '@thalamus/bundle';
import { releaseV1, RPC_METADATA } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { createClient } from '@thalamus/grpc';
import { Command } from 'commander';
import { readFileSync } from 'node:fs';
import { EXIT } from '../exit-codes.js';
import { meshCommand, outputOf, type CommonOptions } from '../mesh-command.js';
import { table } from '../output.js';
import { serviceAddress } from '../registry-client.js';

interface CompareOptions extends CommonOptions {
  readonly old: string;
  readonly new: string;
  readonly budget: string;
}

/** `thalamus release compare|promote`. */
export function releaseCommand(): Command {
  const command = new Command('release').description('compare versions and promote them');
  command.addCommand(
    meshCommand(
      'compare',
      'compare two prediction files (JSONL rows {id, label, prediction, score?, slice?})',
    )
      .requiredOption('--old <file>', 'predictions of the old version: a file, or the digest of a stored one')
      .requiredOption('--new <file>', 'predictions of the new version, likewise')
      .option('--budget <rate>', 'largest negative flip rate that is compatible, 0 to 1', '0.01')
      .action(compare),
  );
  command.addCommand(
    meshCommand('promote', 'make a version the stable one')
      .argument('<expert>', 'name')
      .argument('<version>', 'version')
      .action(promote),
  );
  return command;
}

async function compare(options: CompareOptions): Promise<void> {
  const budget = Number(options.budget);
  if (!(budget >= 0 && budget <= 1))
    throw new ThalamusError(
      'CONFIG_INVALID',
      `--budget is "${options.budget}"; it must be a number from 0 to 1.`,
    );
  const answer = await withReleases(options, (releases) =>
    releases.compare({
      old: isDigest(options.old)
        ? { case: 'oldDigest', value: options.old }
        : { case: 'oldPredictions', value: read(options.old) },
      new: isDigest(options.new)
        ? { case: 'newDigest', value: options.new }
        : { case: 'newPredictions', value: read(options.new) },
      negativeFlipBudget: budget,
    }),
  );
  const { overall } = answer;
  const verdict = releaseV1.Verdict[answer.verdict].toLowerCase();
  outputOf(options).answer(
    { verdict, reason: answer.reason, overall, slices: answer.slices, items: answer.items },
    () => [
      `${verdict}: ${answer.reason}`,
      ...table([
        ['slice', 'n', 'old accuracy', 'new accuracy', 'negative flips', 'positive flips'],
        ...[...(overall ? [overall] : []), ...answer.slices].map((slice) => [
          slice.slice || 'all',
          String(slice.n),
          share(slice.oldAccuracy),
          share(slice.newAccuracy),
          share(slice.negativeFlips),
          share(slice.positiveFlips),
        ]),
      ]),
    ],
  );
  if (answer.verdict !== releaseV1.Verdict.COMPATIBLE) process.exitCode = EXIT.negative;
}

async function promote(expert: string, version: string, options: CommonOptions): Promise<void> {
  await withReleases(options, (releases) =>
    releases.promote({ expert, version }, { metadata: { [RPC_METADATA.actor]: 'cli' } }),
  );
  outputOf(options).answer({ expert, version, channel: 'stable' }, () => [
    `${expert}@${version} is stable now.`,
  ]);
}

async function withReleases<T>(
  options: CommonOptions,
  work: (client: ReturnType<typeof releases>) => Promise<T>,
): Promise<T> {
  const client = releases(options);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

function share(rate: releaseV1.Rate | undefined): string {
  return (rate?.value ?? 0).toFixed(4);
}

function releases(options: CommonOptions) {
  return createClient(releaseV1.ReleaseService, {
    address: serviceAddress(options, 'updater'),
    defaultDeadlineMs: 60_000,
  });
}

function read(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new ThalamusError(
      'DATASET_INVALID',
      `The file ${path} cannot be read; name a JSONL file of predictions.`,
      { cause },
    );
  }
}
