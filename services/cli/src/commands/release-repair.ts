import { DEFAULT_REPAIR_METHOD, REPAIR_METHODS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { Option, type Command } from 'commander';
import type { RepairOptions } from '../actions/repair-local.js';
import type { RepairReleaseOptions } from '../actions/repair-release.js';
import { NO_LICENCE_STATED } from '../jobs/no-licence-stated.js';
import { collect, dataFolderOption, numberIn, refuseGiven, verb, wholeNumber } from '../mesh-command.js';

/** Options of a repair in this process alone, by attribute. */
const LOCAL_ALONE = new Set([
  ...['from', 'to', 'out', 'base', 'fromBase', 'name', 'expertVersion'],
  ...['threads', 'restart', 'checkpointMinutes'],
]);
const WITH_RELEASE =
  'a release is repaired by a job, on its own versions and their bases; leave it away, or repair into a folder without --release';
const WITHOUT_RELEASE = 'a repair into a folder is no job; leave it away, or name a release with --release';

const EXAMPLES = [
  'thalamus release repair --release my-intents-2-1f0c9a3e --data unseen.csv',
  'thalamus release repair --release my-intents-2-1f0c9a3e --data unseen@1 --test held-out@1 --detach',
  'thalamus release repair --from /tmp/intents-1 --to /tmp/intents-2 --data unseen.csv --out /tmp/compat',
  'thalamus release repair --from my-intents@1 --to my-intents@2 --data unseen.csv --out /tmp/compat',
  'thalamus release repair --from v1 --to v2 --from-base base-1 --base base-2 --data unseen.csv --out /tmp/compat',
];

/** `thalamus release repair`. */
export function repairCommand(): Command {
  const command = verb(
    'repair',
    'train a compatibility adapter: the new version learns again what the old one had right, at the same cost to serve; into a folder in this process, or of a release by a job of the mesh. Exit code 4 when it got worse, or the release stands',
    EXAMPLES,
  )
    .option('--from <version>', 'the old version: folder of a bundle, or NAME@VERSION of the mesh')
    .option('--to <version>', 'the new version, likewise: a low-rank expert with the same labels')
    .option('--release <id>', 'or the release whose candidate is repaired before callers get it')
    .requiredOption(
      '--data <csv>',
      'rows, of a release also as registered NAME@VERSION, with the columns text and label that neither version was trained on: on rows that the new version knows by heart it errs on none, and has nothing to learn',
    )
    .option('--out <folder>', 'write the bundle here')
    .option('--test <csv>', 'rows that judge the result, likewise; default: 15 % of the data are held out')
    .addOption(
      new Option(
        '--method <method>',
        "what a row teaches: the paper's way, its variants, controls, and ways of ours",
      )
        .choices(REPAIR_METHODS)
        .default(DEFAULT_REPAIR_METHOD),
    )
    .option('--base <folder>', 'base of the new version; default: zoo/base/minilm-l6, or that of the mesh')
    .option('--from-base <folder>', 'base of the old version, which may be another; default likewise')
    .option('--name <expert>', 'name of the expert; default: that of the new version')
    .option('--expert-version <number>', 'version of the result; default: one above both')
    .option('--description <text>', 'what the expert is good at; default: that of the new version')
    .option('--licence <spdx>', 'licence of the rows', NO_LICENCE_STATED)
    .option('--origin <text>', 'where the rows come from', 'not stated')
    .option('--ignore-column <name>', 'column of the file that is left alone; may be repeated', collect, [])
    .option(
      '--seed <seed>',
      'chooses the rows that are held out, and their order',
      wholeNumber(0, 2_147_483_647),
      0,
    )
    .option('--epochs <n>', 'passes over the rows; default: 3', wholeNumber(1, 1000))
    .option(
      '--rate <rate>',
      'peak learning rate of the adapter; default: 1e-3',
      numberIn(Number.MIN_VALUE, 1),
    )
    .option(
      '--head-rate <rate>',
      'peak learning rate of the head; default: 5e-4',
      numberIn(Number.MIN_VALUE, 1),
    )
    .option('--batch <rows>', 'most rows of a batch; default: 32', wholeNumber(1, 4096))
    .option('--max-tokens <n>', 'longer texts are cut in training; default: 128', wholeNumber(4, 8192))
    .option(
      '--threads <n>',
      'threads of one operator; default: as many as there are cores, at most 4',
      wholeNumber(1, 64),
    )
    .option('--restart', 'forget the checkpoint of an interrupted run', false)
    .option(
      '--checkpoint-minutes <n>',
      'how often a checkpoint is kept, besides those at the best validations',
      numberIn(Number.MIN_VALUE, 1440),
      5,
    )
    .option('--detach', 'of a release: return when the job is submitted', false)
    .option('--json', 'print one JSON document', false)
    .addOption(dataFolderOption('--mesh', 'data folder of the mesh'));
  return command.action(async (options: RepairOptions | RepairReleaseOptions) => {
    if ('release' in options) {
      refuseGiven(command, LOCAL_ALONE, WITH_RELEASE);
      return (await import('../actions/repair-release.js')).repairRelease(options);
    }
    refuseGiven(command, new Set(['detach']), WITHOUT_RELEASE);
    requireLocal(options);
    return (await import('../actions/repair-local.js')).repairLocal(options);
  });
}

/** @throws CONFIG_INVALID */
function requireLocal(options: Partial<RepairOptions>): void {
  const missing = (['from', 'to', 'out'] as const).filter((name) => options[name] === undefined);
  if (missing.length === 0) return;
  throw new ThalamusError(
    'CONFIG_INVALID',
    `${missing.map((name) => `--${name}`).join(', ')} must be given: name both versions and the folder of the result, or a release with --release.`,
  );
}
