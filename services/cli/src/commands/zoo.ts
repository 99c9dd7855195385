import { Command } from 'commander';
import type * as actions from '../actions/zoo.js';
import { meshVerb } from '../mesh-command.js';

const load = () => import('../actions/zoo.js');

/** `thalamus zoo load`: the shipped experts for a mesh that `thalamus up` did not start. */
export function zooCommand(): Command {
  const command = new Command('zoo').description('the experts that are shipped with the repository');
  command.addCommand(
    meshVerb('load', 'store the zoo with an updater and register it; what is there already stays as it is', [
      'thalamus zoo load --updater 127.0.0.1:7401',
      'thalamus zoo load --updater updater:7401 --replay http://replay:8082/v1',
    ])
      .option('--updater <address>', 'host:port of the updater; default: that of the local mesh')
      .option('--replay <url>', 'also the fleet, whose replay upstream answers at this base URL')
      .action(async (...given: Parameters<typeof actions.loadZoo>) => (await load()).loadZoo(...given)),
  );
  return command;
}
