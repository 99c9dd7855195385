// Bases that stand between the shipped one and what masked-LM training made of it.
import { openBundle, readLowRankAdapter, writeBundle } from '@thalamus/bundle';
import { Tokenizer } from '@thalamus/inference';
import { buildBertEncoder, encodeModel } from '@thalamus/onnx-graph';
import { foldBranches, openTrainingBase } from '@thalamus/training';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openZooBase } from '../training-base.mjs';

export const CACHE = 'node_modules/.cache/thalamus/updates';
const LANGUAGE_MODEL = 'zoo/language-models/mlm-generalist';
const opened = new Map();

/** The base with `share` times what the language model changed of its linear layers; 0 is the shipped base. */
export async function openBaseVersion(share, runtime, threads) {
  if (!opened.has(share)) opened.set(share, await make(share, runtime, threads));
  return opened.get(share);
}

async function make(share, runtime, threads) {
  const base = await openZooBase(runtime, threads);
  if (share === 0) return base;
  const folder = join(CACHE, `base-${share}`);
  if (!existsSync(join(folder, 'expert.json'))) await write(folder, base, share);
  return openTrainingBase(folder, { runtime, threads, readTokenizer: (json) => Tokenizer.parse(json) });
}

async function write(folder, base, share) {
  mkdirSync(CACHE, { recursive: true });
  const model = await openBundle(LANGUAGE_MODEL);
  const { factors, scale } = await readLowRankAdapter(model);
  const weights = foldBranches(base.read.weights, factors, scale * share);
  const { files: _files, ...manifest } = base.manifest;
  const parents = [
    { name: base.manifest.name, version: base.manifest.version, digest: base.digest },
    { name: model.manifest.name, version: model.manifest.version, digest: model.digest },
  ];
  await writeBundle(
    folder,
    {
      ...manifest,
      version: '2',
      precision: 'float32',
      evaluation: [],
      lineage: { recipe: `${share} times what ${model.manifest.name} changed of the base`, parents },
    },
    {
      'model.onnx': encodeModel(buildBertEncoder(base.read.config, weights, { kind: 'float32' })),
      'tokenizer.json': base.tokenizerJson,
    },
  );
}
