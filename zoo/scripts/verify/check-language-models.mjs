// Checks of the masked language models that need nothing but the committed files.
import { openBundle } from '@thalamus/bundle';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { normalised, readTextLines, rowUse } from '@thalamus/training';
import {
  DOMAINS,
  domainSampleFile,
  expertName,
  GENERALIST,
  sampleParts,
  SPLIT_RULE,
} from '../language-models/domains.mjs';
import { differs } from './report.mjs';

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** Digests as the index names them, base and start as the manifests say, licences and row counts as the domains have them. */
export async function checkLanguageModels(zoo, report) {
  const { bases, languageModels } = readJson(join(zoo, 'zoo.json'));
  const { sets } = readJson(join(zoo, 'data/domain-splits.json'));
  const opened = new Map();
  const faults = [];
  for (const { folder, digest, sample } of languageModels) {
    // Opening checks the size and the digest of every file of the folder.
    const bundle = await openBundle(join(zoo, folder));
    faults.push(...differs(`the digest of ${folder}`, bundle.digest, digest));
    opened.set(bundle.manifest.name, bundle);
    faults.push(...sampleFaults(zoo, bundle.manifest, sample));
  }
  for (const { manifest } of opened.values()) {
    if (manifest.kind === 'lowrank')
      faults.push(...differs(`the base of ${manifest.name}`, manifest.base?.digest, bases[0].digest));
    const start = manifest.lineage.parents.find(({ name }) => name === GENERALIST);
    if (manifest.name !== GENERALIST)
      faults.push(...differs(`the start of ${manifest.name}`, start?.digest, opened.get(GENERALIST)?.digest));
    faults.push(...dataFaults(manifest, sets));
  }
  report.add('language models', faults, `${languageModels.length} masked language models`);
}

/** A model of one domain has samples of it: rows for routers, none of them a test text. */
function sampleFaults(zoo, { name, trainingData }, sample) {
  const about = DOMAINS.find(({ domain }) => expertName(domain) === name);
  if (!about) return differs(`the sample of ${name}`, sample, undefined);
  const parts = sampleParts(about.domain);
  const files = Object.fromEntries(parts.map((part) => [part, domainSampleFile(about.domain, part)]));
  const { licence, origin } = trainingData[0];
  const faults = differs(
    `the sample of ${name}`,
    JSON.stringify(sample),
    JSON.stringify({ ...files, licence, origin }),
  );
  const { train, test } = files;
  if (!train) return faults;
  const rowsOf = (file) => readTextLines(readFileSync(join(zoo, file)), file);
  const judged = new Set(rowsOf(test).map(({ text }) => normalised(text)));
  for (const { text, doc } of rowsOf(train)) {
    if (rowUse(doc === '' ? text : doc, SPLIT_RULE) !== 'router')
      faults.push(`${train} holds a row of another use`);
    if (judged.has(normalised(text))) faults.push(`${train} holds a test text`);
  }
  return faults;
}

function dataFaults({ name, licence, trainingData }, sets) {
  const faults = [];
  for (const row of trainingData) {
    const about = DOMAINS.find(({ domain }) => domain === row.name);
    faults.push(
      ...differs(`the licence of ${row.name} in ${name}`, row.licence, about?.licence),
      ...differs(`the rows of ${row.name} in ${name}`, row.rows, sets[row.name]?.expert),
    );
  }
  const licences = [...new Set(trainingData.map((row) => row.licence))].sort().join(' AND ');
  return [...faults, ...differs(`the licence of ${name}`, licence, licences)];
}
