import { Option, type Command } from 'commander';
import type * as actions from '../actions/train.js';
import { NO_LICENCE_STATED } from '../jobs/no-licence-stated.js';
import { collect, dataFolderOption, verb, wholeNumber } from '../mesh-command.js';

const load = () => import('../actions/train.js');

/** `thalamus experts train`. */
export function trainCommand(): Command {
  return dataVerb('train', 'train a probe expert on labelled texts and register it; Ctrl-C cancels the job', [
    'thalamus experts train --name my-intents --data my.csv',
    'thalamus experts train --name my-intents --data my.csv --test held-out.csv --channel stable',
  ])
    .requiredOption('--name <expert>', 'expert that gets a new version; made when it is not known')
    .option('--test <csv>', 'rows that the result is judged on; default: 15 % of the data are held out')
    .option('--base <name@version>', 'base to train on; default: the only one that is registered')
    .addOption(
      new Option('--channel <channel>', 'channel that gets the new version of a known expert')
        .choices(['candidate', 'stable', 'none'])
        .default('candidate'),
    )
    .option('--seed <seed>', 'chooses the rows that are held out', wholeNumber(0, 2_147_483_647), 0)
    .option('--description <text>', 'what the expert is good at')
    .action(async (...given: Parameters<typeof actions.train>) => (await load()).train(...given));
}

/** `thalamus experts evaluate`. */
export function evaluateCommand(): Command {
  return dataVerb('evaluate', 'answer labelled texts with an expert and measure it; Ctrl-C cancels the job', [
    'thalamus experts evaluate my-intents@2 --data held-out.csv --out new.jsonl',
  ])
    .argument('<expert>', 'name, or name@version; default: the stable version')
    .option('--out <jsonl>', 'write the predictions to this file, for "thalamus release compare"')
    .action(async (...given: Parameters<typeof actions.evaluate>) => (await load()).evaluate(...given));
}

function dataVerb(name: string, description: string, shown: readonly string[]): Command {
  return verb(name, description, shown)
    .option('--data <csv>', 'CSV file with the columns text and label, optionally id and slice')
    .option('--dataset <name@version>', 'registered data set, instead of a file')
    .option('--licence <spdx>', 'licence of the file', NO_LICENCE_STATED)
    .option('--origin <text>', 'where the file comes from', 'not stated')
    .option('--ignore-column <name>', 'column of the file that is left alone; may be repeated', collect, [])
    .option('--detach', 'submit the job and return', false)
    .option('--json', 'print one JSON document', false)
    .addOption(dataFolderOption('--mesh', 'data folder of the mesh'));
}
