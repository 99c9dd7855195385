import { Command } from 'commander';
import type * as actions from '../actions/experts.js';
import type { SignOptions } from '../actions/sign-local.js';
import { meshVerb, verb } from '../mesh-command.js';
import { isBundleFolder } from '../training/bundle-folder.js';
import { importCommand } from './import.js';
import { evaluateCommand, trainCommand } from './train.js';

const load = () => import('../actions/experts.js');

/** `thalamus experts list|show|add|train|import|sign|evaluate`. */
export function expertsCommand(): Command {
  const command = new Command('experts').description(
    'list, show, add, train, import, sign and evaluate experts',
  );
  command.addCommand(
    meshVerb('list', 'list the experts', ['thalamus experts list', 'thalamus experts list --json']).action(
      async (...given: Parameters<typeof actions.list>) => (await load()).list(...given),
    ),
  );
  command.addCommand(
    meshVerb('show', 'show an expert with its versions and their figures', [
      'thalamus experts show banking77',
      'thalamus experts show /tmp/snips',
    ])
      .argument('<expert>', 'name; or the folder of a bundle, which needs no mesh')
      .action(async (...given: Parameters<typeof actions.show>) => {
        if (isBundleFolder(given[0])) await (await import('../actions/show-local.js')).showLocal(...given);
        else await (await load()).show(...given);
      }),
  );
  command.addCommand(
    meshVerb(
      'add',
      'check a bundle and register it; a new version of a known expert stays off the stable channel',
      ['thalamus experts add ./my-expert', 'thalamus experts add zoo/fleet/mixtral-8x7b'],
    )
      .argument('<folder>', 'folder with expert.json and its files; of a remote model, expert.json alone')
      .action(async (...given: Parameters<typeof actions.add>) => (await load()).add(...given)),
  );
  command.addCommand(trainCommand());
  command.addCommand(importCommand());
  command.addCommand(
    verb('sign', 'sign a bundle with an ed25519 key; its digest stays as it is', [
      'thalamus experts sign ./my-expert --key signing.pem',
    ])
      .argument('<folder>', 'folder with expert.json and its files')
      .requiredOption(
        '--key <pem>',
        'private key, as "openssl genpkey -algorithm ed25519 -out signing.pem" makes it',
      )
      .option('--json', 'print one JSON document', false)
      .action(async (folder: string, options: SignOptions) =>
        (await import('../actions/sign-local.js')).signLocal(folder, options),
      ),
  );
  command.addCommand(evaluateCommand());
  return command;
}
