import { Command, Option } from 'commander';
import type { ExtendRouterOptions } from '../actions/router-extend.js';
import type { EvaluateRouterOptions } from '../actions/router-evaluate.js';
import type { TrainRouterOptions } from '../actions/router-train.js';
import { numberIn, wholeNumber } from '../mesh-command.js';
import { compareCommand } from './router-compare.js';
import { routerMeshCommands } from './router-mesh.js';
import { tableVerb } from './router-table-verb.js';
import { tableCommand } from './router-table.js';

/** `thalamus router`: router models from tables of measured prompts, and those of a mesh. */
export function routerCommand(): Command {
  const command = new Command('router')
    .description(
      'measure experts on prompts; train, judge and compare router models on tables of measured prompts, and say which one decides',
    )
    .addCommand(tableCommand())
    .addCommand(trainCommand())
    .addCommand(evaluateCommand())
    .addCommand(compareCommand())
    .addCommand(extendCommand());
  for (const own of routerMeshCommands()) command.addCommand(own);
  return command;
}

function trainCommand(): Command {
  return tableVerb(
    'train',
    'fit a router to a table of prompts with the result of each model, and write its bundle to a folder',
    [
      'thalamus router train --table llmrouter9.jsonl.gz --out /tmp/r --seed 1',
      'thalamus router train --table T.jsonl.gz --out /tmp/r --encoder accurate --json',
    ],
  )
    .requiredOption('--out <folder>', 'folder of the router model; must not be there yet')
    .addOption(
      new Option(
        '--encoder <name>',
        'fast: static vectors of word pieces, no graph is run; accurate: the vector of the base as well; cascade: the second where the intervals of the first say that it matters',
      )
        .choices(['fast', 'accurate', 'cascade'])
        .default('fast'),
    )
    .option('--seed <seed>', 'splits the table, and starts what is random', wholeNumber(0, 2_147_483_647), 0)
    .option('--name <name>', 'of the router model; default: the name of the folder')
    .addOption(
      new Option('--task <task>', 'task that it decides for')
        .choices(['text-generation', 'text-classification', 'fill-mask', 'feature-extraction'])
        .default('text-generation'),
    )
    .option(
      '--validation-share <share>',
      'share of the rows that is the validation part',
      numberIn(0, 0.5),
      0.1,
    )
    .option('--test-share <share>', 'share of the rows that is set aside and not read', numberIn(0, 0.5), 0.2)
    .action(async (options: TrainRouterOptions) =>
      (await import('../actions/router-train.js')).trainRouterLocal(options),
    );
}

function evaluateCommand(): Command {
  return tableVerb(
    'evaluate',
    'judge a router model on a part of its table, or on another table over the same models, beside the baselines',
    [
      'thalamus router evaluate --router /tmp/r --table llmrouter9.jsonl.gz --split test --json',
      'thalamus router evaluate --router /tmp/r --table OTHER.jsonl.gz --split all --json',
      'thalamus router evaluate --router /tmp/r --table llmrouter9.jsonl.gz --split test --save',
    ],
  )
    .requiredOption('--router <folder>', 'folder of the router model')
    .addOption(
      new Option('--split <part>', 'part of the table, by the seed that the router model keeps')
        .choices(['test', 'validation', 'train', 'all'])
        .default('test'),
    )
    .option(
      '--save',
      'keep the report in the folder of the router model, for the console; its digest becomes another, so save before it is registered',
      false,
    )
    .action(async (options: EvaluateRouterOptions) =>
      (await import('../actions/router-evaluate.js')).evaluateRouterLocal(options),
    );
}

function extendCommand(): Command {
  return tableVerb(
    'extend',
    'add one expert to a router model: its head is fitted on a table that has its results, all else stays to the bit',
    [
      'thalamus router extend --router /tmp/r --expert gpt-4-1106 --table T.jsonl.gz --out /tmp/r2',
      'thalamus router extend --router /tmp/r --expert gpt-4-1106 --table T.jsonl.gz --prompts 500 --out /tmp/r2 --json',
    ],
  )
    .requiredOption('--router <folder>', 'folder of the router model')
    .requiredOption('--expert <name>', 'model of the table that the router has no head for')
    .requiredOption('--out <folder>', 'folder of the result; must not be there yet')
    .option(
      '--prompts <n>',
      'prompts of the table that the head is fitted on, drawn by chance; default: all that the router model does not set aside',
      wholeNumber(50, 1_000_000),
    )
    .option('--seed <seed>', 'draws the prompts', wholeNumber(0, 2_147_483_647), 0)
    .option('--name <name>', 'of the result; default: that of the router model')
    .action(async (options: ExtendRouterOptions) =>
      (await import('../actions/router-extend.js')).extendRouterLocal(options),
    );
}
