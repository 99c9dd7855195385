// The part of zoo.json that names the language models that are there, with their digests.
import { bundleDigest } from '@thalamus/bundle';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DOMAINS, domainSampleFile, expertName, GENERALIST, sampleParts } from './domains.mjs';
import { SMALL_MODELS } from './small-models.mjs';

const ZOO = 'zoo';

/** Names of all language models: the generalist, the domain experts, the small ones. */
export const LANGUAGE_MODELS = [
  GENERALIST,
  ...DOMAINS.map(({ domain }) => expertName(domain)),
  ...SMALL_MODELS.map(({ name }) => name),
];

/** Names in zoo.json the models whose folders are there. */
export async function indexLanguageModels() {
  const path = join(ZOO, 'zoo.json');
  const languageModels = [];
  for (const name of LANGUAGE_MODELS) {
    const folder = `language-models/${name}`;
    if (existsSync(join(ZOO, folder, 'expert.json')))
      languageModels.push({ folder, digest: await bundleDigest(join(ZOO, folder)), ...sampleOf(name) });
  }
  const index = { ...JSON.parse(readFileSync(path, 'utf8')), languageModels };
  writeFileSync(path, `${JSON.stringify(index, null, 2)}\n`);
}

/** Samples of a domain expert; the other models have none of their own. */
function sampleOf(name) {
  const about = DOMAINS.find(({ domain }) => expertName(domain) === name);
  if (!about) return {};
  const { domain, licence, origin } = about;
  const files = sampleParts(domain).map((part) => [part, domainSampleFile(domain, part)]);
  return { sample: { ...Object.fromEntries(files), licence, origin } };
}
