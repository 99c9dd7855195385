import { Command } from 'commander';
import type * as actions from '../actions/release.js';
import { meshVerb, numberIn } from '../mesh-command.js';

const load = () => import('../actions/release.js');

/** `thalamus release compare|promote`. */
export function releaseCommand(): Command {
  const command = new Command('release').description('compare versions and promote them');
  command.addCommand(
    meshVerb(
      'compare',
      'compare the predictions of two versions item by item; exit code 4 unless they are compatible',
      [
        'thalamus release compare old.jsonl new.jsonl',
        'thalamus release compare old.jsonl new.jsonl --budget 0.005',
      ],
    )
      .argument(
        '<old>',
        'predictions of the old version: a file of JSONL rows {id, label, prediction, score?, slice?}, or the digest of a stored one',
      )
      .argument('<new>', 'predictions of the new version for the same items, likewise')
      .option(
        '--budget <rate>',
        'largest negative flip rate that is compatible, 0 to 1',
        numberIn(0, 1),
        0.01,
      )
      .action(async (...given: Parameters<typeof actions.compare>) => (await load()).compare(...given)),
  );
  command.addCommand(
    meshVerb('promote', 'make a version the stable one', [
      'thalamus release promote banking77 2 --reason "compared: no negative flips"',
    ])
      .argument('<expert>', 'name')
      .argument('<version>', 'version')
      .requiredOption('--reason <text>', 'why, for the audit')
      .action(async (...given: Parameters<typeof actions.promote>) => (await load()).promote(...given)),
  );
  return command;
}
