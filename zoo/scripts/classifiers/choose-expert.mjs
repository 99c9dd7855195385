// The choice among the tries of a set, by their figures on the validation rows as a host serves them.
import { openBundle, writeBundle } from '@thalamus/bundle';
import { evaluationRows } from '@thalamus/training';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { figuresOf } from '../served-experts.mjs';

const SPLITS = ['validation', 'test'];

/** Writes the best try to zoo/experts; resolves with its name and the figures of all tries. */
export async function chooseExpert(served, task, tries, parts, date) {
  const figures = {};
  for (const { tried, folder } of tries) {
    const expert = await served.open(folder);
    const { kind, files } = expert.manifest;
    figures[tried] = { kind, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
    for (const split of SPLITS)
      figures[tried][split] = await figuresOf(expert, parts[split], `${task.set}.${split}`);
  }
  const score = ({ validation }) => [validation.accuracy, -validation.logLoss];
  const [best] = tries.toSorted((a, b) => {
    const [accuracyA, lossA] = score(figures[a.tried]);
    const [accuracyB, lossB] = score(figures[b.tried]);
    return accuracyB - accuracyA || lossB - lossA;
  });
  await install(best.folder, join('zoo/experts', task.expert), (split) =>
    evaluationRows(task.set, split, figures[best.tried][split], date),
  );
  return { chosen: best.tried, figures };
}

/** The bundle of a try with its figures as served, in the place of the set's expert. */
async function install(from, to, rowsOf) {
  const bundle = await openBundle(from);
  const files = {};
  for (const { path } of bundle.manifest.files) files[path] = await bundle.readFile(path);
  const { files: _, ...manifest } = bundle.manifest;
  rmSync(to, { recursive: true, force: true });
  await writeBundle(to, { ...manifest, evaluation: [...rowsOf('test'), ...rowsOf('validation')] }, files);
}
