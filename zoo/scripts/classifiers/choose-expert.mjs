// The choice among the tries of a set, by their figures on the validation rows as a host serves them.
import { writeBundle } from '@thalamus/bundle';
import { evaluationRows } from '@thalamus/training';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { figuresOf } from '../served-experts.mjs';
import { calibrated } from './calibrate.mjs';
import { TRIES } from './tries.mjs';

const SPLITS = ['validation', 'test'];

/**
 * Measures tries and writes the best to zoo/experts; resolves with its name and the figures of all tries. `recorded` holds the
 * figures of earlier ones: where one of those is the best, the expert that stands there is left alone.
 */
export async function chooseExpert(served, task, { tries, parts, recorded = {}, date }) {
  const figures = { ...recorded };
  const bundles = {};
  for (const { tried, folder } of tries) {
    const trained = await served.open(folder);
    const expert = TRIES[tried]?.headScale
      ? await calibrated(trained, parts.validation, `${task.set}.validation`, `${folder}-calibrated`)
      : trained;
    bundles[tried] = expert.bundle;
    const { kind, files } = expert.manifest;
    figures[tried] = { kind, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
    for (const split of SPLITS)
      figures[tried][split] = await figuresOf(expert, parts[split], `${task.set}.${split}`);
  }
  const score = ({ validation }) => [validation.accuracy, -validation.logLoss];
  const [best] = Object.keys(figures).toSorted((a, b) => {
    const [accuracyA, lossA] = score(figures[a]);
    const [accuracyB, lossB] = score(figures[b]);
    return accuracyB - accuracyA || lossB - lossA;
  });
  if (bundles[best])
    await install(bundles[best], join('zoo/experts', task.expert), (split) =>
      evaluationRows(task.set, split, figures[best][split], date),
    );
  return { chosen: best, tried: figures };
}

/** The bundle of a try with its figures as served, in the place of the set's expert. */
async function install(bundle, to, rowsOf) {
  const files = {};
  for (const { path } of bundle.manifest.files) files[path] = await bundle.readFile(path);
  const { files: _, ...manifest } = bundle.manifest;
  rmSync(to, { recursive: true, force: true });
  await writeBundle(to, { ...manifest, evaluation: [...rowsOf('test'), ...rowsOf('validation')] }, files);
}
