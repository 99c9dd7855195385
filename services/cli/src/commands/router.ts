import { Command, Option } from 'commander';
import type { EvaluateRouterOptions } from '../actions/router-evaluate.js';
import type { TrainRouterOptions } from '../actions/router-train.js';
import { numberIn, verb, wholeNumber } from '../mesh-command.js';

/** `thalamus router`: router models from tables of measured prompts. */
export function routerCommand(): Command {
  return new Command('router')
    .description('train and judge router models on tables of measured prompts')
    .addCommand(trainCommand())
    .addCommand(evaluateCommand());
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
        'fast: static vectors of word pieces, no graph is run; accurate: the vector of the base as well',
      )
        .choices(['fast', 'accurate'])
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

function tableVerb(name: string, description: string, shown: readonly string[]): Command {
  return verb(name, description, shown)
    .requiredOption(
      '--table <file>',
      'JSONL, plain or gzip: a meta line, then prompt and scores or losses a line',
    )
    .option('--base <folder>', 'base that the encoder is made from; default: zoo/base/minilm-l6')
    .option(
      '--vectors <folder>',
      'keep the vectors of the base for the prompts of a table here, and read them again',
    )
    .option(
      '--threads <n>',
      'threads of one operator; default: as many as there are cores, at most 4',
      wholeNumber(1, 64),
    )
    .option('--json', 'print one JSON document', false);
}
