// Measures every masked language model of the zoo on the test text of every domain: nats a hidden word piece, windows of 128
// tokens, four disjoint masks that all models share, so that every word is hidden once.
//   npm run zoo:cross-table -- --data DIR [--windows 100] [--threads 2] [--out docs/results]
// DIR holds <domain>.test.jsonl. Of a domain with more windows, as many are taken, evenly spaced; 0 takes all. What was measured stays
// in node_modules/.cache by the digest of the weights, so that a run that was interrupted goes on; and a model whose weights and
// windows are those of the table that is there is not measured again.
import { digestOf, openBundle } from '@thalamus/bundle';
import { OrtRuntime } from '@thalamus/inference';
import { maskVocabulary, openMaskedLm } from '@thalamus/training';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DOMAINS, expertName, GENERALIST, readDomain, spread, WINDOW_TOKENS, windowsOf } from './domains.mjs';
import { heatMap } from './heat-map.mjs';
import { LANGUAGE_MODELS } from './index.mjs';
import { weightsDigest } from './weights-digest.mjs';
import { openZooBase } from '../training-base.mjs';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    windows: { type: 'string', default: '100' },
    threads: { type: 'string', default: '2' },
    out: { type: 'string', default: 'docs/results' },
  },
});
if (!values.data) {
  console.error('Name the folder of the JSONL files with --data DIR.');
  process.exit(2);
}
const CACHE = 'node_modules/.cache/thalamus/cross-table';
const TABLE = join(values.out, 'data', 'masked-lm-cross-table.json');
const most = Number(values.windows) || Infinity;
const runtime = new OrtRuntime();
const base = await openZooBase(runtime, Number(values.threads));
const vocabulary = maskVocabulary(base.tokenizerJson);
const texts = new Map();
for (const { domain } of DOMAINS)
  texts.set(domain, spread(await windowsOf(base, readDomain(values.data, domain).test), most));

/** Digest of the windows of each domain. */
const digests = new Map(
  [...texts].map(([domain, windows]) => [domain, digestOf(Buffer.from(JSON.stringify(windows)))]),
);
const table = existsSync(TABLE) ? JSON.parse(readFileSync(TABLE, 'utf8')) : { digests: {}, models: [] };

const measured = [];
for (const name of LANGUAGE_MODELS) {
  const folder = join('zoo/language-models', name);
  if (!existsSync(join(folder, 'expert.json'))) {
    console.error(`${name} is not there; the table is made without it.`);
    continue;
  }
  measured.push(await measure(name, await openBundle(folder)));
}
await runtime.close();
write();
process.exit(0);

/** Sums of nats and word pieces by domain and window. */
async function measure(name, bundle) {
  mkdirSync(CACHE, { recursive: true });
  const weights = weightsDigest(bundle.manifest);
  const path = join(CACHE, `${weights.slice(7, 31)}-${most}.json`);
  const known = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : inTable(weights);
  let model;
  for (const [domain, windows] of texts) {
    if (known[domain]) continue;
    model ??= await openMaskedLm(bundle, base, vocabulary);
    const rows = await model.rowLosses(windows);
    // As the table keeps them, so that what is read from it gives the same table.
    known[domain] = rows.map(({ nats, pieces }) => ({ nats: Number(nats.toFixed(4)), pieces }));
    writeFileSync(path, JSON.stringify(known));
    const { nats, pieces } = total(known[domain]);
    console.error(`${name} on ${domain}: ${(nats / pieces).toFixed(4)} nats`);
  }
  await model?.release();
  return { name, digest: bundle.digest, weights, domains: known };
}

/** What the table that is there says of these weights, by domain, where the windows are the same. */
function inTable(weights) {
  const model = table.models.find((one) => one.weights === weights);
  const domains = [...digests].filter(([domain, digest]) => model && table.digests[domain] === digest);
  return Object.fromEntries(
    domains.map(([domain]) => [domain, model.windows[domain].map(([nats, pieces]) => ({ nats, pieces }))]),
  );
}

function total(rows) {
  return rows.reduce((all, row) => ({ nats: all.nats + row.nats, pieces: all.pieces + row.pieces }), {
    nats: 0,
    pieces: 0,
  });
}

/** The table as JSON with the losses of each window, as Markdown and as a heat map. */
function write() {
  const columns = [...texts.keys()];
  const losses = measured.map(({ domains }) =>
    columns.map((domain) => {
      const { nats, pieces } = total(domains[domain]);
      return nats / pieces;
    }),
  );
  const own = columns.filter((domain, column) => {
    const best = measured.reduce((at, _, row) => (losses[row][column] < losses[at][column] ? row : at), 0);
    return measured[best].name === expertName(domain);
  });
  const generalist = measured.findIndex(({ name }) => name === GENERALIST);
  const gaps = columns.map((domain, column) => {
    const row = measured.findIndex(({ name }) => name === expertName(domain));
    return row < 0 ? undefined : losses[generalist][column] - losses[row][column];
  });
  const markdown = [
    `| model | ${columns.join(' | ')} |`,
    `| --- |${' ---: |'.repeat(columns.length)}`,
    ...measured.map(({ name }, row) => {
      const cells = losses[row].map((loss, column) => {
        const isBest = losses.every((other) => other[column] >= loss);
        return isBest ? `**${loss.toFixed(3)}**` : loss.toFixed(3);
      });
      return `| ${name} | ${cells.join(' | ')} |`;
    }),
    `| gain over the generalist | ${gaps.map((gap) => (gap === undefined ? '' : gap.toFixed(3))).join(' | ')} |`,
  ].join('\n');
  const data = {
    unit: 'nats a hidden word piece',
    windowTokens: WINDOW_TOKENS,
    masks: 'four disjoint masks of a quarter of the words, shared by all models',
    windows: Object.fromEntries([...texts].map(([domain, windows]) => [domain, windows.length])),
    digests: Object.fromEntries(digests),
    models: measured.map(({ name, digest, weights, domains }, row) => ({
      name,
      digest,
      weights,
      mean: Object.fromEntries(columns.map((domain, column) => [domain, losses[row][column]])),
      windows: Object.fromEntries(
        columns.map((domain) => [domain, domains[domain].map(({ nats, pieces }) => [nats, pieces])]),
      ),
    })),
  };
  mkdirSync(join(values.out, 'data'), { recursive: true });
  writeFileSync(TABLE, `${JSON.stringify(data)}\n`);
  writeFileSync(
    join(values.out, 'masked-lm-cross-table.svg'),
    heatMap(
      measured.map(({ name }) => name),
      columns,
      losses,
    ),
  );
  console.log(markdown);
  console.log(`\nBest on its own domain: ${own.length} of ${columns.length}.`);
}
