import { Command } from 'commander';
import type * as actions from '../actions/compose.js';
import { meshVerb, wholeNumber } from '../mesh-command.js';

const load = () => import('../actions/compose.js');

/** `thalamus compose run`: makes one expert of several. */
export function composeCommand(): Command {
  const command = new Command('compose').description('fuse experts into one');
  command.addCommand(
    meshVerb('run', 'fuse experts into one self-contained expert and register it', [
      'thalamus compose run banking77 clinc150',
      'thalamus compose run banking77@1 snips7@1 --name assistant --dry-run',
    ])
      .argument('<parents...>', 'experts, or expert@version; two or more')
      .option('--method <method>', 'merge method', 'twin')
      .option('--name <name>', 'name of the result; default: from the recipe')
      .option('--seed <seed>', 'seed of what is random', wholeNumber(0, 2_147_483_647), 0)
      .option('--dry-run', 'say what would happen, change nothing; exit code 4 when it cannot be done', false)
      .action(async (...given: Parameters<typeof actions.run>) => (await load()).run(...given)),
  );
  return command;
}
