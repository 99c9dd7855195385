import { Option, type Command } from 'commander';
import type { RerouteOptions } from '../actions/release-reroute.js';
import { NO_LICENCE_STATED } from '../jobs/no-licence-stated.js';
import { meshVerb, wholeNumber } from '../mesh-command.js';

/** `thalamus release reroute`. */
export function rerouteCommand(): Command {
  return meshVerb(
    'reroute',
    'repair the update of a remote model, which has no weights to train: fit a router over both versions that sends a prompt to the old one where that is better, and judge it on prompts that it has not seen. Exit code 0 repaired, 1 worse, 2 not shown, 3 error',
    [
      'thalamus release reroute --before old.jsonl --after new.jsonl --old big-2026-03 --new big-2026-11 --out /tmp/back',
      'thalamus release reroute --before old.jsonl --after new.jsonl --old big-2026-03 --new big-2026-11 --out /tmp/back --loss score --json',
      'thalamus release reroute --before old.jsonl --after new.jsonl --old big-2026-03 --new big-2026-11 --out /tmp/back --table T.jsonl --report md',
    ],
  )
    .requiredOption(
      '--before <jsonl>',
      'judged answers of the old version, as for "thalamus release compare", with the text of each prompt; or the digest of a stored file',
    )
    .requiredOption('--after <jsonl>', 'of the new version to the same prompts, likewise')
    .requiredOption('--old <expert>', 'name that the old version is registered as, as an expert of its own')
    .requiredOption(
      '--new <expert>',
      'name of the new version, which gets every prompt that nothing speaks against',
    )
    .requiredOption('--out <folder>', 'folder of the router model; must not be there yet')
    .option('--table <jsonl>', 'also write the loss table that it is fitted on; must not be there yet')
    .addOption(
      new Option(
        '--loss <by>',
        'right: an answer is right or wrong; score: 1 less the score of the row, 0 to 1',
      )
        .choices(['right', 'score'])
        .default('right'),
    )
    .option('--seed <seed>', 'draws the folds', wholeNumber(0, 2_147_483_647), 0)
    .option('--name <name>', 'of the router model; default: the name of the folder')
    .addOption(
      new Option('--task <task>', 'task that it decides for')
        .choices(['text-generation', 'text-classification'])
        .default('text-generation'),
    )
    .option('--licence <spdx>', 'licence of the prompts', NO_LICENCE_STATED)
    .option('--origin <text>', 'where the prompts come from', 'not stated')
    .option('--base <folder>', 'base that the encoder is made from; default: zoo/base/minilm-l6')
    .addOption(new Option('--report <form>', 'print a report for a pull request').choices(['md']))
    .action(async (options: RerouteOptions) =>
      (await import('../actions/release-reroute.js')).rerouteRelease(options),
    );
}
