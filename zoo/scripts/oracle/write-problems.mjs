// Writes what the full fine-tune by PyTorch needs: the base's weights as float32, token ids of every set, and the probe that its
// head starts from.
//   node zoo/scripts/oracle/write-problems.mjs --data DIR --probes DIR --out DIR [--only SET,SET]
// --data holds <set>.train.csv and <set>.test.csv; --probes one bundle of a probe a set, <set>-probe/bundle, as
// "npm run zoo:classifiers" leaves them in node_modules/.cache/thalamus/training.
import { openBundle, readClassifierHead } from '@thalamus/bundle';
import { OrtRuntime } from '@thalamus/inference';
import { classifierGraph, HYPER_PARAMETERS, parametersOf, transposed } from '@thalamus/training';
import { graphOf } from '@thalamus/onnx-graph';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readSet } from '../classifiers/read-set.mjs';
import { WIDTH } from '../served-experts.mjs';
import { TASKS } from '../tasks.mjs';
import { openZooBase } from '../training-base.mjs';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    probes: { type: 'string', default: 'node_modules/.cache/thalamus/training' },
    out: { type: 'string' },
    only: { type: 'string' },
  },
});
if (!values.data || !values.out) {
  console.error('Name the folder of the CSV files with --data DIR and where to write with --out DIR.');
  process.exit(2);
}
const settings = HYPER_PARAMETERS.full;
const runtime = new OrtRuntime();
const base = await openZooBase(runtime, 1);
const { config, weights } = base.read;
mkdirSync(values.out, { recursive: true });
const sets = TASKS.filter(({ set }) => !values.only || values.only.split(',').includes(set));
for (const { set } of sets) {
  const bundle = await openBundle(join(values.probes, `${set}-probe`, 'bundle'));
  const { labels } = bundle.manifest;
  const head = await readClassifierHead(bundle, WIDTH);
  const model = classifierGraph(config, weights, {
    weights: transposed(head.weights, labels.length, WIDTH),
    bias: head.bias,
  });
  const names = graphOf(model)
    .initializer.map(({ name }) => name)
    .filter((name) => /^(embeddings|encoder|head)\..*(weight|bias)$/.test(name));
  const parameters = parametersOf(model, new Set(names));
  const parts = {};
  for (const [use, rows] of Object.entries(readSet(values.data, set))) {
    const longest = use === 'train' ? settings.maxTokens : base.manifest.maxTokens;
    const encoded = await base.tokens.encode(
      rows.map(({ text }) => text),
      longest,
    );
    parts[use] = {
      ids: encoded.map(({ ids }) => [...ids]),
      classes: rows.map(({ label }) => labels.indexOf(label)),
    };
  }
  const shapes = [...parameters].map(([name, { shape }]) => ({ name, shape }));
  writeFileSync(
    join(values.out, `${set}.json`),
    JSON.stringify({ set, config, settings, parameters: shapes, parts }),
  );
  const floats = [...parameters.values()].map(({ data }) =>
    Buffer.from(data.buffer, data.byteOffset, data.byteLength),
  );
  writeFileSync(join(values.out, `${set}.bin`), Buffer.concat(floats));
  console.log(`${set}: ${parts.train.ids.length} rows to train on`);
}
await runtime.close();
process.exit(0);
