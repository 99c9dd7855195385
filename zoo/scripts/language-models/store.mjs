// Stores the masked language models that are there once more, in the form that training stores them in now: small graphs, logs and
// curves. Nothing is trained: the weights are those that are there, so what is stored coarsely stays so.
//   npm run zoo:store-language-models -- --data DIR [--threads 2]
// DIR holds <domain>.train.jsonl and <domain>.test.jsonl: the figures of a small model whose graph changes are measured again. A
// model that is stored so already is left alone.
import { openBundle, writeBundle } from '@thalamus/bundle';
import { OrtRuntime } from '@thalamus/inference';
import { decodeModel, graphOf } from '@thalamus/onnx-graph';
import { readMaskedLmGraph, TRAINING_FILES, trainingFiles } from '@thalamus/training';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DOMAINS, GENERALIST, LANGUAGE_MODEL_VERSION, readDomain } from './domains.mjs';
import { indexLanguageModels, LANGUAGE_MODELS } from './index.mjs';
import { judgingWindows, measureSmall } from './small-figures.mjs';
import { SMALL_MODELS, storedSmall } from './small-models.mjs';
import { openZooBase } from '../training-base.mjs';

const { values } = parseArgs({
  options: { data: { type: 'string' }, threads: { type: 'string', default: '2' } },
});
if (!values.data) {
  console.error('Name the folder of the JSONL files with --data DIR.');
  process.exit(2);
}
const OUT = 'zoo/language-models';
const GRAPH = 'model.onnx';
const DATE = '2026-11-28';
const runtime = new OrtRuntime();
const base = await openZooBase(runtime, Number(values.threads));
let judged;
let generalist;
// The generalist is the first: the others name its digest.
for (const name of LANGUAGE_MODELS) {
  if (!existsSync(join(OUT, name, 'expert.json'))) continue;
  await store(name);
  if (name === GENERALIST) generalist = await openBundle(join(OUT, name));
}
await indexLanguageModels();
await runtime.close();
process.exit(0);

async function store(name) {
  const bundle = await openBundle(join(OUT, name));
  const { files: entries, ...manifest } = bundle.manifest;
  const files = {};
  for (const { path } of entries) files[path] = await bundle.readFile(path);
  const events = new TextDecoder().decode(files[TRAINING_FILES.log]).trimEnd().split('\n');
  const stored = { ...files, ...trainingFiles(name, events.map(JSON.parse)) };
  const small = SMALL_MODELS.find((one) => one.name === name);
  if (small) stored[GRAPH] = graphInForm(files[GRAPH], small);
  const parents = manifest.lineage.parents.map((parent) =>
    parent.name === GENERALIST
      ? { ...parent, version: generalist.manifest.version, digest: generalist.digest }
      : parent,
  );
  const isNew = (path) => Buffer.compare(files[path], stored[path]) !== 0;
  const changed = Object.keys(stored).filter(isNew);
  const before = manifest.lineage.parents.map(({ digest }) => digest).join();
  if (changed.length === 0 && before === parents.map(({ digest }) => digest).join())
    return console.log(`${name}: stored so already`);
  const evaluation = changed.includes(GRAPH) ? await figures(stored[GRAPH]) : manifest.evaluation;
  const lineage = { ...manifest.lineage, parents };
  await writeBundle(
    join(OUT, name),
    { ...manifest, version: LANGUAGE_MODEL_VERSION, lineage, evaluation },
    stored,
  );
  const bytes = (of) => Object.values(of).reduce((sum, { byteLength }) => sum + byteLength, 0);
  console.log(`${name}: ${changed.join(', ')}; ${bytes(files)} -> ${bytes(stored)} bytes`);
}

/** A graph in the form of today. One that has it is left: scales that are worked out once more may differ in their last bit. */
function graphInForm(bytes, small) {
  const model = decodeModel(bytes);
  const again = storedSmall(readMaskedLmGraph(model), small, base.manifest.maxTokens);
  const form = (of) =>
    graphOf(of)
      .initializer.map(({ name, dataType, dims }) => `${name} ${dataType} ${dims.join()}`)
      .join('\n');
  return form(model) === form(decodeModel(again)) ? bytes : again;
}

async function figures(graph) {
  judged ??= await judgingWindows(
    base,
    DOMAINS.map(({ domain }) => readDomain(values.data, domain)),
  );
  return measureSmall(graph, judged, { base, date: DATE });
}
