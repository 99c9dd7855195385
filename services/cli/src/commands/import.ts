import type { Command } from 'commander';
import type { ImportOptions } from '../actions/import-local.js';
import { NO_LICENCE_STATED } from '../jobs/no-licence-stated.js';
import { verb } from '../mesh-command.js';

/** `thalamus experts import`. */
export function importCommand(): Command {
  return verb(
    'import',
    'turn a LoRA adapter of PEFT over a base into a low-rank expert for text classification; its head is applied to the L2-normalised mean of the token vectors, so it must have been trained on that. Nothing is measured: "experts evaluate" does that',
    [
      'thalamus experts import ./peft-adapter --out /tmp/imported --name my-intents --labels yes,no',
      'thalamus experts import ./peft-adapter --base zoo/base/minilm-l6 --out /tmp/imported --name my-intents --labels labels.txt --head head.safetensors',
    ],
  )
    .argument('<folder>', 'folder with adapter_config.json and adapter_model.safetensors')
    .requiredOption('--out <folder>', 'write the bundle here')
    .requiredOption('--name <expert>', 'name of the expert')
    .option('--base <folder>', 'base that the adapter was trained over; default: zoo/base/minilm-l6')
    .option(
      '--labels <list>',
      'labels in the order of the head’s rows: a,b,c, or a file with one on each line; default: LABEL_0, LABEL_1 and so on',
    )
    .option(
      '--head <safetensors>',
      'file with head.weight [labels, hidden] and perhaps head.bias; default: classifier or score inside the adapter',
    )
    .option('--description <text>', 'what the expert is good at')
    .option('--licence <spdx>', 'licence of the adapter', NO_LICENCE_STATED)
    .option('--origin <text>', 'where the adapter comes from', 'not stated')
    .option('--json', 'print one JSON document', false)
    .action(async (folder: string, options: ImportOptions) =>
      (await import('../actions/import-local.js')).importLocal(folder, options),
    );
}
