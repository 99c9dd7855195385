// Measured losses of every expert on the rows of all sets, by what the rows may be used for.
import { openBundle, readSafetensors, requireFloat32 } from '@thalamus/bundle';
import { headLogProbabilities, labelLoss, lossScale, readCsv, rowUse } from '@thalamus/training';
import { parse } from 'csv-parse/sync';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { embedAll } from '../embeddings.mjs';
import { SPLIT_RULE, TASKS } from '../tasks.mjs';

/** Width of the base's vectors. */
export const WIDTH = 384;

/** Head and labels of an opened expert. */
export async function readHead(bundle) {
  const { labels } = bundle.manifest;
  const tensors = readSafetensors(await bundle.readFile('head.safetensors'));
  return {
    weights: requireFloat32(tensors, 'head.weight', [labels.length, WIDTH]),
    bias: requireFloat32(tensors, 'head.bias', [labels.length]),
  };
}

/** The nine experts, in the order of the tasks, with the scale on which their losses are compared. */
export async function openExperts(zoo = 'zoo') {
  const experts = [];
  for (const task of TASKS) {
    const bundle = await openBundle(join(zoo, 'experts', task.expert));
    const { labels, version } = bundle.manifest;
    const labelIndex = new Map(labels.map((label, index) => [label, index]));
    experts.push({
      expert: task.expert,
      version,
      digest: bundle.digest,
      labels,
      labelIndex,
      head: await readHead(bundle),
    });
  }
  return { experts, scale: lossScale(Math.max(...experts.map(({ labels }) => labels.length))) };
}

/** Losses [rows, experts] of labelled rows with their vectors. */
export function measureLosses({ experts, scale }, rows, features) {
  const losses = new Float64Array(rows.length * experts.length);
  experts.forEach(({ head, labels, labelIndex }, k) => {
    const logs = headLogProbabilities(head, features, WIDTH);
    rows.forEach((row, at) => {
      const label = labelIndex.get(row.label);
      losses[at * experts.length + k] = labelLoss(
        label === undefined ? undefined : logs[at * labels.length + label],
        scale,
      );
    });
  });
  return losses;
}

/** The rows for which `chosen(row, index)` holds, with their vectors. */
export function takeRows({ rows, features }, chosen) {
  const indices = rows.map((_, index) => index).filter((index) => chosen(rows[index], index));
  const vectors = new Float32Array(indices.length * WIDTH);
  indices.forEach((index, at) =>
    vectors.set(features.subarray(index * WIDTH, (index + 1) * WIDTH), at * WIDTH),
  );
  return { rows: indices.map((index) => rows[index]), features: vectors };
}

/** Parts one after the other. */
export function joinRows(parts) {
  const features = new Float32Array(parts.reduce((sum, part) => sum + part.features.length, 0));
  let at = 0;
  for (const part of parts) {
    features.set(part.features, at);
    at += part.features.length;
  }
  return { rows: parts.flatMap(({ rows }) => rows), features };
}

/** Rows of a set's file with their vectors. */
export async function embeddedRows(base, folder, set, kind) {
  const file = `${set}.${kind}.csv`;
  const rows = readCsv(readFileSync(join(folder, file)), file).map((row) => ({ ...row, set }));
  return {
    rows,
    features: await embedAll(
      base,
      rows.map(({ text }) => text),
      `${set}.${kind}`,
    ),
  };
}

/**
 * Rows of all sets by use, with measured losses: `expert` (the experts were trained on them: their losses are too good
 * and nothing is fitted to those), `router`, `choose` and `calibrate` (the two halves of validation) and `test`.
 */
export async function readParts(base, folder, library) {
  const lists = { expert: [], router: [], choose: [], calibrate: [], test: [] };
  for (const { set } of TASKS) {
    const train = await embeddedRows(base, folder, set, 'train');
    const use = train.rows.map(({ text }) => rowUse(text, SPLIT_RULE));
    for (const name of ['expert', 'router'])
      lists[name].push(takeRows(train, (_, index) => use[index] === name));
    const validation = takeRows(train, (_, index) => use[index] === 'validation');
    lists.choose.push(takeRows(validation, (_, index) => index % 2 === 0));
    lists.calibrate.push(takeRows(validation, (_, index) => index % 2 === 1));
    lists.test.push(await embeddedRows(base, folder, set, 'test'));
  }
  return Object.fromEntries(
    Object.entries(lists).map(([name, list]) => {
      const joined = joinRows(list);
      return [name, { ...joined, losses: measureLosses(library, joined.rows, joined.features) }];
    }),
  );
}

/** Vectors of the prompts that no expert fits: a function of the split, `oos_train`, `oos_val` or `oos_test`. */
export async function readOutOfScope(base, folder) {
  const rows = parse(readFileSync(join(folder, 'clinc_oos.csv')), { columns: true, bom: true });
  const features = await embedAll(
    base,
    rows.map(({ text }) => text),
    'clinc_oos',
  );
  return (split) => takeRows({ rows, features }, (row) => row.split === split).features;
}
