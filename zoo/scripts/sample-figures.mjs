// Writes zoo/data/sample/figures.json: every expert of the zoo measured on its committed sample, which is what tests hold it to.
//   npm run zoo:sample-figures
import { writeFileSync } from 'node:fs';
import { openBase } from './embeddings.mjs';
import { measureClassifierSamples, measureLanguageModelSamples } from './verify/check-samples.mjs';

const figures = {
  classifiers: await measureClassifierSamples('zoo', await openBase()),
  languageModels: await measureLanguageModelSamples('zoo'),
};
writeFileSync('zoo/data/sample/figures.json', `${JSON.stringify(figures, null, 2)}\n`);
process.exit(0);
