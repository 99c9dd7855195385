import { Command, Option } from 'commander';
import type * as actions from '../actions/keys.js';
import { meshVerb } from '../mesh-command.js';

const load = () => import('../actions/keys.js');

/** `thalamus keys create|list|revoke`. */
export function keysCommand(): Command {
  const command = new Command('keys').description('make, list and revoke API keys');
  command.addCommand(
    meshVerb('create', 'make a key; its secret is shown once', [
      'thalamus keys create --tenant shop',
      'thalamus keys create --tenant shop --role operator --description "nightly training"',
    ])
      .requiredOption('--tenant <tenant>', 'who will use it')
      .addOption(
        new Option('--role <role>', 'what it may do')
          .choices(['viewer', 'operator', 'admin'])
          .default('viewer'),
      )
      .option('--description <text>', 'what it is for', '')
      .action(async (...given: Parameters<typeof actions.create>) => (await load()).create(...given)),
  );
  command.addCommand(
    meshVerb('list', 'list the keys without their secrets', ['thalamus keys list']).action(
      async (...given: Parameters<typeof actions.list>) => (await load()).list(...given),
    ),
  );
  command.addCommand(
    meshVerb('revoke', 'revoke a key', ['thalamus keys revoke k_2f9c'])
      .argument('<id>', 'id of the key')
      .action(async (...given: Parameters<typeof actions.revoke>) => (await load()).revoke(...given)),
  );
  return command;
}
