// Prompts that the masked language models of the zoo are measured on, to train routers among them: pieces of at most 128 tokens of texts
// that none of the models was trained on.
//   npm run zoo:masked-lm-prompts -- --data DIR --out DIR2 [--most-train 640] [--most-test 260]
// DIR holds <domain>.train.jsonl and <domain>.test.jsonl. Writes masked-lm.train.jsonl (the documents of the train files that the split of
// the zoo sets aside for routers, and those by which the experts' training chose its best step; see language-models/domains.mjs) and
// masked-lm.test.jsonl (the test files, which nothing has read). Rows of one document are joined; of a domain with more pieces than asked
// for, as many are taken, evenly spaced. `group` is the document. Measure them with `thalamus router table`.
import { OrtRuntime } from '@thalamus/inference';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DOMAINS, readDomain, spread, WINDOW_TOKENS } from '../language-models/domains.mjs';
import { openZooBase } from '../training-base.mjs';
import { piecesOf } from './pieces.mjs';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    out: { type: 'string' },
    'most-train': { type: 'string', default: '640' },
    'most-test': { type: 'string', default: '260' },
  },
});
if (!values.data || !values.out) {
  console.error(
    'Name the folder of the JSONL files with --data DIR, and where the prompts go with --out DIR2.',
  );
  process.exit(2);
}
/** Shortest piece, special tokens included: of fewer a mask hides so few that the loss is mostly noise. */
const LEAST_TOKENS = 32;

const runtime = new OrtRuntime();
const base = await openZooBase(runtime, 1);
const limits = { tokens: base.tokens, least: LEAST_TOKENS, most: WINDOW_TOKENS };
const parts = { train: [], test: [] };
for (const { domain } of DOMAINS) {
  const { router, validation, test } = readDomain(values.data, domain);
  const train = await piecesOf(domain, [...router, ...validation], limits);
  const judged = await piecesOf(domain, test, limits);
  parts.train.push(...spread(train, Number(values['most-train'])));
  parts.test.push(...spread(judged, Number(values['most-test'])));
}
await runtime.close();
mkdirSync(values.out, { recursive: true });
for (const [part, prompts] of Object.entries(parts)) {
  const path = join(values.out, `masked-lm.${part}.jsonl`);
  writeFileSync(path, prompts.map((prompt) => `${JSON.stringify(prompt)}\n`).join(''));
  console.log(
    `${path}: ${prompts.length} prompts of ${new Set(prompts.map(({ group }) => group)).size} documents`,
  );
  for (const { domain } of DOMAINS) {
    const own = prompts.filter((prompt) => prompt.domain === domain);
    const documents = new Set(own.map(({ group }) => group)).size;
    console.log(`  ${domain.padEnd(22)} ${String(own.length).padStart(4)} prompts, ${documents} documents`);
  }
}
process.exit(0);
