import { TRAINING_METHODS } from '@thalamus/contracts';
import { Option, type Command } from 'commander';
import type * as actions from '../actions/train.js';
import { NO_LICENCE_STATED } from '../jobs/no-licence-stated.js';
import type { LocalEvaluateOptions } from '../actions/evaluate-local.js';
import type { LocalTrainOptions } from '../actions/train-local.js';
import { collect, dataFolderOption, numberIn, refuseGiven, verb, wholeNumber } from '../mesh-command.js';
import { isBundleFolder } from '../training/bundle-folder.js';
import { addHyperOptions } from '../training/hyper-options.js';

const load = () => import('../actions/train.js');

/** `thalamus experts train`. */
export function trainCommand(): Command {
  const command = dataVerb(
    'train',
    'train an expert on labelled texts (CSV), or a masked language model on texts (JSONL): into a folder with --out, else as a job of the mesh that registers it',
    [
      'thalamus experts train --task snips7 --data zoo/data/sample/snips7.train.csv --out /tmp/snips',
      'thalamus experts train --data notes.jsonl --from zoo/language-models/mlm-generalist --out /tmp/notes',
      'thalamus experts train --name my-intents --data my.csv',
      'thalamus experts train --name my-notes --data notes.jsonl',
      'thalamus experts train --name my-intents --data my.csv --test held-out.csv --channel stable',
    ],
  )
    .option('--name <expert>', 'expert that gets a new version; made when it is not known')
    .option('--task <task>', 'what the labels are about: names the expert when --name does not')
    .option('--out <folder>', 'train in this process and write the bundle here; no mesh is needed')
    .option('--test <csv>', 'rows that the result is judged on; default: 15 % of the data are held out')
    .option(
      '--base <name@version>',
      'base to train on; with --out its folder; default: the only one that is registered, or zoo/base/minilm-l6',
    )
    .addOption(
      new Option('--channel <channel>', 'channel that gets the new version of a known expert')
        .choices(['candidate', 'stable', 'none'])
        .default('candidate'),
    )
    .option('--seed <seed>', 'chooses the rows that are held out', wholeNumber(0, 2_147_483_647), 0)
    .option('--description <text>', 'what the expert is good at')
    .addOption(
      new Option(
        '--method <method>',
        'how to train; default: lora with --out, or the probe where that is as good; else probe',
      ).choices(TRAINING_METHODS),
    )
    .option('--texts', 'the registered data set holds texts: train a masked language model', false)
    .option(
      '--from <model>',
      'masked language model that training on texts begins with, of the same rank and alpha: name@version; with --out its folder',
    )
    .option('--keep-method', 'keep the method even where the probe is better on the validation rows', false);
  addHyperOptions(command);
  const common = new Set(command.options.map((option) => option.attributeName()));
  return localOptions(command).action(async (options: actions.TrainOptions | LocalTrainOptions) => {
    if ('out' in options) {
      refuseGiven(command, new Set(['channel', 'texts', ...JOB_ALONE]), WITH_OUT);
      return (await import('../actions/train-local.js')).trainLocal(options);
    }
    refuseGiven(command, localAlone(command, common), WITHOUT_OUT);
    return (await load()).train(options);
  });
}

/** Options of jobs alone, by attribute. */
const JOB_ALONE = ['dataset', 'detach', 'mesh'];
const OF_A_FOLDER =
  'a folder is measured in this process, which has no such option; leave it away, or name an expert of the mesh';
const OF_THE_MESH =
  'an expert of the mesh is measured by a worker on its own base; leave it away, or name a folder such as ./expert';
const WITH_OUT =
  'training into a folder has no such option; leave it away, or train a job of the mesh without --out';
const WITHOUT_OUT = 'a job of the mesh has no such option; leave it away, or train into a folder with --out';

/** A job is run as its worker is set up: the options of this process, by attribute. */
function localAlone({ options }: Command, common: ReadonlySet<string>): ReadonlySet<string> {
  return new Set(options.map((option) => option.attributeName()).filter((name) => !common.has(name)));
}

/** How this process trains; only with --out. */
function localOptions(command: Command): Command {
  return command
    .option(
      '--threads <n>',
      'threads of one operator; default: as many as there are cores, at most 4',
      wholeNumber(1, 64),
    )
    .option('--restart', 'forget the checkpoint of an interrupted run', false)
    .option(
      '--checkpoint-minutes <n>',
      'how often a checkpoint is kept, besides those at the best validations',
      numberIn(Number.MIN_VALUE, 1440),
      5,
    );
}

/** `thalamus experts evaluate`. */
export function evaluateCommand(): Command {
  const command = dataVerb(
    'evaluate',
    'answer labelled texts with an expert, or fill masked words of texts, and measure it: a folder in this process, an expert of the mesh as a job',
    [
      'thalamus experts evaluate /tmp/snips --data zoo/data/sample/snips7.test.csv --predictions p.jsonl',
      'thalamus experts evaluate zoo/language-models/mlm-clinical --data notes.jsonl',
      'thalamus experts evaluate my-intents@2 --data held-out.csv --out new.jsonl',
    ],
  )
    .argument('<expert>', 'folder of a bundle; or name, or name@version; default: the stable version')
    .option(
      '--out, --predictions <jsonl>',
      'write the predictions to this file, for "thalamus release compare"',
    )
    .option('--base <folder>', 'of a folder: the base that it stands on; default: zoo/base/minilm-l6')
    .option('--threads <n>', 'of a folder: threads of one operator', wholeNumber(1, 64));
  return command.action(async (expert: string, options: actions.EvaluateOptions & LocalEvaluateOptions) => {
    if (isBundleFolder(expert)) {
      refuseGiven(command, new Set(['licence', 'origin', ...JOB_ALONE]), OF_A_FOLDER);
      await (await import('../actions/evaluate-local.js')).evaluateLocal(expert, options);
      return;
    }
    refuseGiven(command, new Set(['base', 'threads']), OF_THE_MESH);
    await (await load()).evaluate(expert, options);
  });
}

function dataVerb(name: string, description: string, shown: readonly string[]): Command {
  return verb(name, description, shown)
    .option(
      '--data <file>',
      'CSV file with the columns text and label, optionally id and slice; or JSONL with text, optionally doc, on each line',
    )
    .option('--dataset <name@version>', 'registered data set, instead of a file')
    .option('--licence <spdx>', 'licence of the file', NO_LICENCE_STATED)
    .option('--origin <text>', 'where the file comes from', 'not stated')
    .option('--ignore-column <name>', 'column of the file that is left alone; may be repeated', collect, [])
    .option('--detach', 'submit the job and return', false)
    .option('--json', 'print one JSON document', false)
    .addOption(dataFolderOption('--mesh', 'data folder of the mesh'));
}
