// How certain a classifier is, set on the validation rows (Guo et al. 2017, section 4.2): weights and bias of its head are
// multiplied by one number, which changes no answer. A head that started small is too uncertain at the end of few passes.
import {
  LOW_RANK_FILES,
  openBundle,
  readClassifierHead,
  writeBundle,
  writeDeltaHead,
} from '@thalamus/bundle';
import { headLogProbabilities, labelled } from '@thalamus/training';
import { rmSync } from 'node:fs';
import { vectorsOf, WIDTH } from '../served-experts.mjs';

/** The factor is between these, to a thousandth. */
const SMALLEST = 0.1;
const LARGEST = 10;

/** Writes a served expert with its head scaled to `folder`; resolves with it, opened. `label` is that of the rows' vectors. */
export async function calibrated(expert, rows, label, folder) {
  const features = await vectorsOf(expert, rows, label);
  const { classes } = labelled({ features, labels: rows.map((row) => row.label) }, expert.labels, WIDTH);
  const factor = certaintyOf(headLogProbabilities(expert.head, features, WIDTH), classes);
  const { files: stored, lineage, ...manifest } = expert.manifest;
  const files = {};
  for (const { path } of stored) files[path] = await expert.bundle.readFile(path);
  const scaled = (values) => values.map((value) => value * factor);
  const { task, weights, bias } = expert.head;
  files[LOW_RANK_FILES.head] = writeDeltaHead(manifest.name, {
    task,
    weights: scaled(weights),
    bias: scaled(bias),
  });
  const recipe = `${lineage.recipe}, then the head times ${factor} for the least loss on the validation rows`;
  rmSync(folder, { recursive: true, force: true });
  await writeBundle(folder, { ...manifest, lineage: { ...lineage, recipe } }, files);
  const bundle = await openBundle(folder);
  // What an expert makes of a text does not depend on its head: the key of its vectors stays.
  return {
    ...expert,
    bundle,
    digest: bundle.digest,
    manifest: bundle.manifest,
    head: await readClassifierHead(bundle, WIDTH),
  };
}

/** The factor of the logits that gives the right classes the least cross-entropy; `logs` [rows, classes] are log-probabilities. */
export function certaintyOf(logs, classes) {
  const count = logs.length / classes.length;
  // Log-probabilities are logits less a number a row, which the softmax takes away again.
  const lossAt = (factor) =>
    classes.reduce((loss, right, row) => {
      const at = row * count;
      const rest = Array.from({ length: count }, (_, k) =>
        Math.exp(factor * (logs[at + k] - logs[at + right])),
      );
      return loss + Math.log(rest.reduce((sum, x) => sum + x, 0));
    }, 0);
  let [low, high] = [SMALLEST, LARGEST];
  // The loss is convex in the factor: of three parts, the one beyond the worse inner bound holds no minimum.
  while (high - low > 5e-4) {
    const third = (high - low) / 3;
    if (lossAt(low + third) < lossAt(high - third)) high -= third;
    else low += third;
  }
  return Number(((low + high) / 2).toFixed(3));
}
