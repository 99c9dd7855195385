import type { Command } from 'commander';
import { collect, dataFolderOption, wholeNumber } from '../mesh-command.js';

/** What a recipe is, and options of a recipe. */
export function recipeOptions(command: Command): Command {
  return command
    .argument(
      '<recipe or parents...>',
      'a recipe, RECIPE.yaml; or experts, name or name@version, two or more',
    )
    .option('--method <method>', 'of experts by name: merge method', 'twin')
    .option(
      '--parameter <name=value>',
      'of experts by name: parameter of the method; may be repeated',
      collect,
    )
    .option(
      '--prompts <file>',
      'texts without labels that the router is fitted on instead of rows of the tasks, each counted for the expert that is surest of it: CSV with a column text, or JSONL; may be repeated',
      collect,
      [],
    )
    .option('--name <name>', 'name of the result; default: from the recipe')
    .option('--seed <seed>', 'seed of what is random', wholeNumber(0, 2_147_483_647), 0)
    .option('--json', 'print one JSON document', false)
    .addOption(dataFolderOption('--mesh', 'data folder of the mesh'));
}

/** What a recipe is made of in this process. */
export function partsOptions(command: Command): Command {
  return command
    .option(
      '--parents <folder>',
      'in this process: folder of bundles, or a bundle, where parents are found by name; may be repeated; default: zoo/experts',
      collect,
      [],
    )
    .option('--base <folder>', 'in this process: the base; default: zoo/base/minilm-l6')
    .option(
      '--data <task=csv>',
      'in this process: rows that the router is fitted on, for a task, which is the name of a parent or of its data set; may be repeated; default: the zoo’s training samples',
      collect,
      [],
    )
    .option(
      '--test <task=csv>',
      'in this process: rows that judge; may be repeated; default: the zoo’s test samples',
      collect,
      [],
    );
}
