import { Command, Option } from 'commander';
import type { CompareOptions } from '../actions/release-compare.js';
import { gateCommand } from './release-gate.js';
import { rerouteCommand } from './release-reroute.js';
import { rolloutCommands } from './release-rollout.js';
import type { DiffOptions } from '../actions/release-diff.js';
import { meshVerb, numberIn, wholeNumber } from '../mesh-command.js';
import { repairCommand } from './release-repair.js';

/** `thalamus release compare|diff|gate|start|status|list|advance|promote|rollback|repair|reroute`. */
export function releaseCommand(): Command {
  const command = new Command('release').description(
    'compare versions, repair them, and roll them out step by step',
  );
  command.addCommand(compareCommand());
  command.addCommand(diffCommand());
  command.addCommand(gateCommand());
  for (const rollout of rolloutCommands()) command.addCommand(rollout);
  command.addCommand(repairCommand());
  command.addCommand(rerouteCommand());
  return command;
}

function compareCommand(): Command {
  return meshVerb(
    'compare',
    'compare the predictions of two versions item by item, in this process; digests are fetched from the mesh. Exit code 0 compatible, 1 incompatible, 2 inconclusive, 3 error',
    [
      'thalamus release compare --before old.jsonl --after new.jsonl',
      'thalamus release compare --before old.jsonl --after new.jsonl --slices label,length --json',
      'thalamus release compare --before old.jsonl --after new.jsonl --budget 0.005 --report md',
    ],
  )
    .argument('[before]', 'the same as --before')
    .argument('[after]', 'the same as --after')
    .option(
      '--before <jsonl>',
      'predictions of the old version: rows {id, label, prediction, score?, slice?, task?, tenant?, language?, text?, tokens?}, or the digest of a stored file',
    )
    .option('--after <jsonl>', 'predictions of the new version for the same items, likewise')
    .option(
      '--slices <names>',
      'figures by label, slice, length, task, tenant, language, separated by commas; default: label, and slice where rows have it',
    )
    .option('--budget <rate>', 'largest negative flip rate that is compatible, 0 to 1', numberIn(0, 1), 0.01)
    .option('--items <count>', 'flipped items to show at most', wholeNumber(0, 1_000_000), 20)
    .addOption(new Option('--report <form>', 'print a report for a pull request').choices(['md']))
    .action(async (before: string | undefined, after: string | undefined, options: CompareOptions) => {
      const { compare } = await import('../actions/release-compare.js');
      await compare(before, after, options);
    });
}

function diffCommand(): Command {
  return meshVerb(
    'diff',
    'say what differs between two versions besides their answers: task, labels, inputs, outputs, tokenizer, limits, type, licence, lineage. Exit code 1 when callers break and --override gives no reason, 3 on errors',
    [
      'thalamus release diff ./intents-1 ./intents-2',
      'thalamus release diff banking77@1 banking77@2 --json',
      'thalamus release diff ./intents-1 ./intents-2 --override "no caller reads logits"',
    ],
  )
    .argument('<before>', 'the old version: a bundle folder, or expert@version of the mesh')
    .argument('<after>', 'the new version, likewise')
    .option('--override <reason>', 'why callers may break')
    .action(async (before: string, after: string, options: DiffOptions) => {
      const { diff } = await import('../actions/release-diff.js');
      await diff(before, after, options);
    });
}
