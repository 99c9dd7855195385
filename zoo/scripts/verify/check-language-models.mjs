// Checks of the masked language models that need nothing but the committed files.
import { openBundle } from '@thalamus/bundle';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DOMAINS, GENERALIST } from '../language-models/domains.mjs';
import { differs } from './report.mjs';

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** Digests as the index names them, base and start as the manifests say, licences and row counts as the domains have them. */
export async function checkLanguageModels(zoo, report) {
  const { bases, languageModels } = readJson(join(zoo, 'zoo.json'));
  const { sets } = readJson(join(zoo, 'data/domain-splits.json'));
  const opened = new Map();
  const faults = [];
  for (const { folder, digest } of languageModels) {
    // Opening checks the size and the digest of every file of the folder.
    const bundle = await openBundle(join(zoo, folder));
    faults.push(...differs(`the digest of ${folder}`, bundle.digest, digest));
    opened.set(bundle.manifest.name, bundle);
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
