import type { Command } from 'commander';
import type { ImportOptions } from '../actions/import-options.js';
import { verb, wholeNumber } from '../mesh-command.js';

/** Most tokens that --max-tokens takes. */
const MOST_TOKENS = 1_048_576;

/** `thalamus experts import`. */
export function importCommand(): Command {
  return verb(
    'import',
    'turn a model from elsewhere into a bundle: an ONNX export of Hugging Face (config.json, tokenizer.json and a graph), a model of an OIP model repository (config.pbtxt, 1/model.onnx), or a LoRA adapter of PEFT over a base, whose head is applied to the L2-normalised mean of the token vectors. Nothing is measured: "experts evaluate" does that',
    [
      'thalamus experts import ./my-classifier-onnx --out /tmp/imported',
      'thalamus experts import ./all-minilm --graph onnx/model.onnx --out /tmp/imported --name minilm',
      'thalamus experts import ./model_repository/densenet --out /tmp/imported',
      'thalamus experts import ./peft-adapter --out /tmp/imported --name my-intents --labels yes,no --base zoo/base/minilm-l6',
    ],
  )
    .argument('<folder>', 'folder of the model; what it is, is told by its files')
    .requiredOption('--out <folder>', 'write the bundle here')
    .option('--name <expert>', 'name of the expert; default: that of the folder')
    .option('--expert-version <number>', 'version of the expert', '1')
    .option('--graph <path>', 'graph to take, by its path in the folder, where there are several')
    .option(
      '--labels <list>',
      'labels in the order of the scores: a,b,c, or a file with one on each line; default: id2label of config.json; of LoRA: LABEL_0, LABEL_1 and so on',
    )
    .option(
      '--pooling <how>',
      'how token vectors become one: mean or cls; default: as sentence-transformers says, else mean',
    )
    .option(
      '--max-tokens <n>',
      'tokens that are read of a text; default: as model and tokenizer say',
      wholeNumber(1, MOST_TOKENS),
    )
    .option('--base <folder>', 'of LoRA: base that it was trained over; default: zoo/base/minilm-l6')
    .option(
      '--head <safetensors>',
      'of LoRA: file with head.weight [labels, hidden] and perhaps head.bias; default: classifier or score inside the adapter',
    )
    .option('--description <text>', 'what the expert is good at')
    .option('--licence <spdx>', 'licence of the weights; default: as README.md says, else NOASSERTION')
    .option('--origin <text>', 'where the model comes from', 'not stated')
    .option('--json', 'print one JSON document', false)
    .action(async (folder: string, options: ImportOptions) =>
      (await import('../actions/import-local.js')).importLocal(folder, options),
    );
}
