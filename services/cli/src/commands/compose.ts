import { Command } from 'commander';
import type { EvaluateCompositionOptions } from '../actions/compose-evaluate.js';
import type { LocalComposeOptions, LocalPreflightOptions } from '../actions/compose-local.js';
import type * as actions from '../actions/compose.js';
import { recipeAmong } from '../compose/recipe-file.js';
import { readMeshFile } from '../mesh/mesh-file.js';
import { collect, numberIn, refuseGiven, verb, wholeNumber } from '../mesh-command.js';
import { partsOptions, recipeOptions } from './compose-options.js';

/** `thalamus compose run|preflight|evaluate|methods`: makes one expert of several. */
export function composeCommand(): Command {
  return new Command('compose')
    .description('fuse experts into one')
    .addCommand(runCommand())
    .addCommand(preflightCommand())
    .addCommand(evaluateCommand())
    .addCommand(methodsCommand());
}

/** Options by attribute: what words of the command line say and a recipe says itself. */
const WORDS = new Set(['method', 'parameter']);
/** Options of the service alone. */
const SERVICE = new Set(['mesh', 'dryRun', 'ttl']);
/** Options of this process alone. */
const LOCAL = new Set([
  'parents',
  'base',
  'data',
  'test',
  'threads',
  'maxLoss',
  'offline',
  'probeRows',
  'probeSeconds',
]);

const OF_A_RECIPE = 'a recipe says this itself; leave it away, or name experts instead of a recipe';
const OF_THE_SERVICE =
  'a composition into a folder has no such option; leave it away, or let the mesh compose without --out';
const OF_THIS_PROCESS =
  'the mesh finds experts, base and rows in its registry; leave it away, or compose a recipe into a folder with --out';
const OF_LOCAL_PREFLIGHT =
  'the mesh finds experts, base and rows in its registry; leave it away, or look at a recipe with --offline';

function runCommand(): Command {
  const command = recipeOptions(
    verb(
      'run',
      'fuse experts into one self-contained expert and check it against them: a recipe into a folder with --out, else on the mesh, which registers it',
      [
        'thalamus compose run zoo/recipes/twin.yaml --out /tmp/twin',
        'thalamus compose run my.yaml --out /tmp/mine --parents ./experts --data intents=train.csv --test intents=test.csv',
        'thalamus compose run my.yaml --out /tmp/mine --parents ./experts --prompts mails.jsonl',
        'thalamus compose run zoo/recipes/twin-masked-lm.yaml --out /tmp/masked',
        'thalamus compose run zoo/recipes/ties.yaml',
        'thalamus compose run banking77 clinc150',
        'thalamus compose run banking77@3 snips7@2 --name assistant --dry-run',
      ],
    ),
  )
    .option('--dry-run', 'on the mesh: make it and check it, register nothing', false)
    .option(
      '--ttl <seconds>',
      'on the mesh: how long the result stays unless used; 0: for ever',
      wholeNumber(0, 2_147_483_647),
      0,
    )
    .option('--out <folder>', 'compose in this process and write the bundle here; no mesh is needed');
  return partsOptions(command)
    .option(
      '--max-loss <points>',
      'with --out: most points of accuracy, of 100, that the task of a parent may lose; more is refused',
      numberIn(0, 100),
      20,
    )
    .option(
      '--threads <n>',
      'with --out: threads of one operator; default: as many as there are cores, at most 4',
      wholeNumber(1, 64),
    )
    .action(async (given: string[], options: actions.ComposeOptions & Partial<LocalComposeOptions>) => {
      const recipe = recipeAmong(given);
      if (recipe !== undefined) refuseGiven(command, WORDS, OF_A_RECIPE);
      if (recipe !== undefined && options.out !== undefined) {
        refuseGiven(command, SERVICE, OF_THE_SERVICE);
        const { composeLocal } = await import('../actions/compose-local.js');
        return composeLocal(recipe, options as LocalComposeOptions);
      }
      refuseGiven(command, new Set([...LOCAL, 'out']), OF_THIS_PROCESS);
      return (await import('../actions/compose.js')).run(given, options);
    });
}

function preflightCommand(): Command {
  const command = recipeOptions(
    verb(
      'preflight',
      'say whether experts can be composed and what that costs; exit code 4 when they cannot. A recipe is looked at in this process when no mesh runs, or with --offline or --parents',
      [
        'thalamus compose preflight zoo/recipes/twin.yaml',
        'thalamus compose preflight my.yaml --parents ./experts --data intents=train.csv',
        'thalamus compose preflight banking77 snips7',
        'thalamus compose preflight zoo/recipes/ties.yaml --no-probe',
      ],
    ),
  )
    .option('--offline', 'look at bundles on this machine, even while a mesh runs', false)
    .option('--no-probe', 'estimate no quality, which a probe of a few rows takes seconds for')
    .option(
      '--probe-rows <n>',
      'in this process: most rows of each task that are looked at; the composer has a setting of its own',
      wholeNumber(1, 1_000),
      40,
    )
    .option(
      '--probe-seconds <s>',
      'in this process: how long the probe may take; then the best estimate so far stands, or none',
      wholeNumber(1, 3_600),
      60,
    );
  return partsOptions(command).action(
    async (
      given: string[],
      options: actions.PreflightOptions & LocalPreflightOptions & { readonly offline: boolean },
    ) => {
      const recipe = recipeAmong(given);
      if (recipe !== undefined) refuseGiven(command, WORDS, OF_A_RECIPE);
      const isLocal = options.offline || options.parents.length > 0 || !readMeshFile(options.mesh);
      if (recipe !== undefined && isLocal) {
        const { preflightLocal } = await import('../actions/compose-local.js');
        return preflightLocal(recipe, options);
      }
      refuseGiven(command, LOCAL, OF_LOCAL_PREFLIGHT);
      return (await import('../actions/compose.js')).preflight(given, options);
    },
  );
}

function evaluateCommand(): Command {
  return verb(
    'evaluate',
    'measure a composition on the tasks of its parents, its own router choosing, beside each parent alone; bytes are set against the dense float32 weights of all parents, a full encoder each',
    [
      'thalamus compose evaluate /tmp/twin',
      'thalamus compose evaluate /tmp/twin --data snips7=held-out.csv --json',
      'thalamus compose evaluate /tmp/mine --parents ./experts --data intents=test.csv',
    ],
  )
    .argument('<folder>', 'bundle of the composition')
    .option(
      '--data <task=csv>',
      'rows of a task, which is the name of a parent or of its data set; may be repeated; default: the zoo’s test samples',
      collect,
      [],
    )
    .option(
      '--parents <folder>',
      'folder of bundles where parents are found by their digest; may be repeated; default: zoo/experts',
      collect,
      [],
    )
    .option('--base <folder>', 'base that the parents stand on; default: zoo/base/minilm-l6')
    .option(
      '--threads <n>',
      'threads of one operator; default: as many as there are cores, at most 4',
      wholeNumber(1, 64),
    )
    .option('--json', 'print one JSON document', false)
    .action(async (folder: string, options: EvaluateCompositionOptions) =>
      (await import('../actions/compose-evaluate.js')).evaluateLocally(folder, options),
    );
}

function methodsCommand(): Command {
  return verb('methods', 'list the merge methods and their parameters; no mesh is needed', [
    'thalamus compose methods',
  ])
    .option('--json', 'print one JSON document', false)
    .action(async (options: { readonly json: boolean }) =>
      (await import('../actions/compose-methods.js')).methods(options),
    );
}
