import type { Command } from 'commander';
import type { RemoteOptions } from '../actions/import-remote.js';
import { verb, wholeNumber } from '../mesh-command.js';

/** Most tokens that --max-tokens takes. */
const MOST_TOKENS = 1_048_576;
/** What is fetched at most unless --max-bytes says otherwise. */
const DEFAULT_BYTES = 8 * 2 ** 30;

/** `thalamus experts import`. */
export function importCommand(): Command {
  return verb(
    'import',
    'turn a model from elsewhere into a bundle: an ONNX export of Hugging Face (config.json, tokenizer.json and a graph), a model of an OIP model repository (config.pbtxt, 1/model.onnx), or a LoRA adapter of PEFT over a base, whose head is applied to the L2-normalised mean of the token vectors. Nothing is measured: "experts evaluate" does that',
    [
      'thalamus experts import ./my-classifier-onnx --out /tmp/imported',
      'thalamus experts import ./all-minilm --graph onnx/model.onnx --out /tmp/imported --name minilm',
      'thalamus experts import hf://sentence-transformers/all-MiniLM-L6-v2@main --graph onnx/model.onnx --out /tmp/imported',
      'thalamus experts import s3://models/museum --endpoint https://minio.example:9000 --out /tmp/imported',
      'thalamus experts import ./model_repository/densenet --out /tmp/imported',
      'thalamus experts import ./peft-adapter --out /tmp/imported --name my-intents --labels yes,no --base zoo/base/minilm-l6',
    ],
  )
    .argument(
      '<source>',
      'folder of the model; what it is, is told by its files. Or s3://bucket/prefix (credentials as AWS_ACCESS_KEY_ID and so on), or hf://organisation/name@revision (HF_TOKEN): fetched, digests checked; the same command goes on after a break',
    )
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
    .option(
      '--endpoint <url>',
      'of s3:// and hf://: address of the store; default: AWS_ENDPOINT_URL, HF_ENDPOINT, else the public one',
    )
    .option(
      '--max-bytes <n>',
      'of s3:// and hf://: most bytes to fetch, checked before the first',
      wholeNumber(1, Number.MAX_SAFE_INTEGER),
      DEFAULT_BYTES,
    )
    .option('--json', 'print one JSON document', false)
    .action(async (source: string, options: RemoteOptions) => {
      const { importRemote, isRemote } = await import('../actions/import-remote.js');
      if (isRemote(source)) return importRemote(source, options);
      return (await import('../actions/import-local.js')).importLocal(source, options);
    });
}
