// Writes what the rows of every data set may be used for, and the committed samples.
//   npm run zoo:data -- --tasks DIR --domains DIR
// --tasks holds <set>.train.csv and <set>.test.csv, --domains <domain>.train.jsonl and <domain>.test.jsonl.
import { readCsv, rowUse, writeCsv } from '@thalamus/training';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  DOMAINS,
  domainSampleFile,
  domainSamples,
  readDomain,
  sampleFile,
  SPLIT_RULE as DOMAIN_SHARES,
} from './language-models/domains.mjs';
import { ROUTER_ROWS, sampleOf, SPLIT_RULE, TASKS } from './tasks.mjs';

const { values } = parseArgs({ options: { tasks: { type: 'string' }, domains: { type: 'string' } } });
if (!values.tasks || !values.domains) {
  console.error(
    'Name the folder of the CSV files with --tasks DIR and that of the JSONL files with --domains DIR.',
  );
  process.exit(2);
}
const SAMPLES = 'zoo/data/sample';
mkdirSync(SAMPLES, { recursive: true });
const writeJson = (path, value) => writeFileSync(path, `${JSON.stringify(value, null, 1)}\n`);

const sets = {};
for (const { set } of TASKS) {
  const bytes = readFileSync(join(values.tasks, `${set}.train.csv`));
  const train = readCsv(bytes, `${set}.train.csv`);
  const test = readCsv(readFileSync(join(values.tasks, `${set}.test.csv`)), `${set}.test.csv`);
  const uses = train.map(({ text }) => rowUse(text, SPLIT_RULE));
  const count = (use) => uses.filter((other) => other === use).length;
  sets[set] = {
    trainSha256: createHash('sha256').update(bytes).digest('hex'),
    expert: count('expert'),
    router: count('router'),
    validation: count('validation'),
    uses: uses.map((use) => use[0]).join(''),
  };
  writeFileSync(join(SAMPLES, `${set}.test.csv`), writeCsv(sampleOf(test)));
  const of = (use) => train.filter((_, row) => uses[row] === use);
  writeFileSync(join(SAMPLES, `${set}.train.csv`), writeCsv(sampleOf(of('expert'))));
  writeFileSync(join(SAMPLES, `${set}.router.csv`), writeCsv(sampleOf(of('router'), ROUTER_ROWS)));
}
writeJson('zoo/data/splits.json', {
  rule: 'sha256("split-v1\\n" + lower-cased text with single spaces) mod 100',
  shares: SPLIT_RULE,
  sets,
});

const domains = DOMAINS.map(({ domain }) => [domain, readDomain(values.domains, domain)]);
for (const [domain, parts] of domains)
  for (const [part, rows] of Object.entries(domainSamples(domain, parts)))
    writeFileSync(join('zoo', domainSampleFile(domain, part)), sampleFile(rows));
writeJson('zoo/data/domain-splits.json', {
  rule: 'sha256("split-v1\\n" + document, or the text where there is none, lower-cased with single spaces) mod 100',
  shares: DOMAIN_SHARES,
  sets: Object.fromEntries(domains.map(([domain, { split }]) => [domain, split])),
});
console.log(`${TASKS.length} sets and ${DOMAINS.length} domains: splits and samples written under zoo/data.`);
