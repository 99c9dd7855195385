import { type Command, Option } from 'commander';
import type { CompareRoutersOptions } from '../actions/router-compare.js';
import { collect, numberIn, wholeNumber } from '../mesh-command.js';
import { tableVerb } from './router-table-verb.js';

/** `thalamus router compare`. */
export function compareCommand(): Command {
  return tableVerb(
    'compare',
    'let two router models decide on the prompts of a table: changed choices, loss, regret and good choices given up, by kind of prompt, judged by a gate. Exit code 0 compatible, 1 incompatible, 2 inconclusive, 3 error',
    [
      'thalamus router compare --before ./router-1 --after ./router-2 --table T.jsonl.gz',
      'thalamus router compare --before ./router-1 --after ./router-2 --table OTHER.jsonl.gz --split all --json',
      'thalamus router compare --before ./router-1 --after ./router-2 --table T.jsonl.gz --gate gate.yaml --report md',
    ],
  )
    .requiredOption('--before <folder>', 'folder of the router model that decides now')
    .requiredOption('--after <folder>', 'folder of the one that should')
    .addOption(
      new Option(
        '--split <part>',
        'test: prompts that both set aside when they were fitted; all: every prompt of the table',
      )
        .choices(['test', 'all'])
        .default('test'),
    )
    .option(
      '--gate <file>',
      'YAML or JSON with rules about data: router; default: what "thalamus release gate show --kind router" prints',
    )
    .option(
      '--tolerance <loss>',
      'difference of loss that is none, in the unit of the table',
      numberIn(0, Number.MAX_VALUE),
      0.05,
    )
    .option('--items <count>', 'flipped prompts to show at most', wholeNumber(0, 1_000_000), 20)
    .option('--approve <name>', 'who approves, for gates that ask for it; may be repeated', collect, [])
    .addOption(new Option('--report <form>', 'print a report for a pull request').choices(['md']))
    .action(async (options: CompareRoutersOptions) => {
      const { compareRouters } = await import('../actions/router-compare.js');
      await compareRouters(options);
    });
}
