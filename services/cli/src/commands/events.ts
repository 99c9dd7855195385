import { Command } from 'commander';
import type * as actions from '../actions/events.js';
import { meshVerb, wholeNumber } from '../mesh-command.js';

const load = () => import('../actions/events.js');

/** `thalamus events tail`: events of the mesh as they come, one a line. */
export function eventsCommand(): Command {
  const command = new Command('events').description('watch what happens in the mesh');
  command.addCommand(
    meshVerb('tail', 'print events as they come, one JSON object a line; Ctrl-C ends', [
      'thalamus events tail',
      'thalamus events tail --topic thalamus.registry.state.v1 --from-beginning',
    ])
      .option('--topic <topic>', 'topic to follow; default: completed requests')
      .option('--from-beginning', 'also print what is stored', false)
      .option('--limit <count>', 'stop after so many', wholeNumber(1, 1_000_000))
      .action(async (...given: Parameters<typeof actions.tail>) => (await load()).tail(...given)),
  );
  return command;
}
