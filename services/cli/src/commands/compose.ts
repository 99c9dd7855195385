import { Command } from 'commander';
import type * as actions from '../actions/compose.js';
import { collect, meshVerb, wholeNumber } from '../mesh-command.js';

const load = () => import('../actions/compose.js');

/** `thalamus compose run|preflight|methods`: makes one expert of several. */
export function composeCommand(): Command {
  const command = new Command('compose').description('fuse experts into one');
  command.addCommand(
    recipeOptions(
      meshVerb('run', 'fuse experts into one self-contained expert, check it against them and register it', [
        'thalamus compose run banking77 clinc150',
        'thalamus compose run banking77@3 snips7@2 --name assistant --dry-run',
      ]),
    )
      .option('--dry-run', 'make it and check it, register nothing', false)
      .option(
        '--ttl <seconds>',
        'how long the result stays unless used; 0: for ever',
        wholeNumber(0, 2_147_483_647),
        0,
      )
      .action(async (...given: Parameters<typeof actions.run>) => (await load()).run(...given)),
  );
  command.addCommand(
    recipeOptions(
      meshVerb(
        'preflight',
        'say whether experts can be composed and what that costs; exit code 4 when they cannot',
        ['thalamus compose preflight banking77 snips7'],
      ),
    ).action(async (...given: Parameters<typeof actions.preflight>) => (await load()).preflight(...given)),
  );
  command.addCommand(
    meshVerb('methods', 'list the merge methods and their parameters', ['thalamus compose methods']).action(
      async (...given: Parameters<typeof actions.methods>) => (await load()).methods(...given),
    ),
  );
  return command;
}

function recipeOptions(command: Command): Command {
  return command
    .argument('<parents...>', 'experts, or expert@version; two or more')
    .option('--method <method>', 'merge method', 'twin')
    .option('--name <name>', 'name of the result; default: from the recipe')
    .option('--seed <seed>', 'seed of what is random', wholeNumber(0, 2_147_483_647), 0)
    .option('--parameter <name=value>', 'parameter of the method; may be repeated', collect);
}
