// How far a served low-rank expert (int8 base, its branches in float32) is from the same factors folded into float32 weights.
//   node e2e/bench/lowrank-distance.mjs BUNDLE TEXTS.csv [--out FILE]
// The texts are the column `text` of a CSV file. Prints the distance of the log-probabilities and how many labels differ.
import { openBundle } from '@thalamus/bundle';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { openClassifier, openTrainingBase, readCsv } from '@thalamus/training';
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { BASE_FOLDER, startHost } from '../../services/expert-host/bench/host-process.mjs';

const { positionals, values } = parseArgs({ allowPositionals: true, options: { out: { type: 'string' } } });
const [folder, csv] = positionals;
const texts = readCsv(readFileSync(csv), csv).map(({ text }) => text);
const runtime = new OrtRuntime();
const tools = { runtime, readTokenizer: (json) => Tokenizer.parse(json), threads: 1 };
const bundle = await openBundle(folder);
const { name, version, labels } = bundle.manifest;
const base = await openTrainingBase(BASE_FOLDER, tools);
const folded = await (await openClassifier(bundle, { ...tools, base })).answer(texts);
await runtime.close();

const host = await startHost({}, [folder]);
while (!(await host.client.repositoryIndex({ ready: true })).models.some((model) => model.name === name))
  await new Promise((resolve) => setTimeout(resolve, 200));
const served = [];
for (let at = 0; at < texts.length; at += 32) served.push(...(await ask(texts.slice(at, at + 32))));
await host.stop();

const best = (row) => row.indexOf(Math.max(...row));
const rows = texts.map((_, i) => ({
  served: served.slice(i * labels.length, (i + 1) * labels.length).map(Math.log),
  folded: [...folded.slice(i * labels.length, (i + 1) * labels.length)],
}));
const distances = rows
  .map(({ served: a, folded: b }) => Math.max(...a.map((value, label) => Math.abs(value - b[label]))))
  .sort((a, b) => a - b);
const summary = {
  texts: texts.length,
  labels: labels.length,
  labelsThatDiffer: rows.filter(({ served: a, folded: b }) => best(a) !== best(b)).length,
  logProbability: { median: distances[distances.length >> 1], largest: distances.at(-1) },
};
console.log(JSON.stringify(summary, null, 2));
if (values.out) writeFileSync(values.out, `${JSON.stringify({ summary, distances }, null, 1)}\n`);

async function ask(some) {
  const contents = { bytesContents: some.map((text) => Buffer.from(text)) };
  const inputs = [{ name: 'text', datatype: 'BYTES', shape: [BigInt(some.length)], contents }];
  const answer = await host.client.modelInfer({ modelName: name, modelVersion: version, inputs });
  const index = answer.outputs.findIndex((output) => output.name === 'scores');
  return [...new Float32Array(new Uint8Array(answer.rawOutputContents[index]).buffer)];
}
