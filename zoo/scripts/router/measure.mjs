// Measured losses of every expert on the rows of all sets, by what the rows may be used for.
import { headLogProbabilities, labelLoss, lossScale, readCsv, rowUse } from '@thalamus/training';
import { parse } from 'csv-parse/sync';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { embedAll } from '../embeddings.mjs';
import { openServed, vectorsOf, WIDTH } from '../served-experts.mjs';
import { ROUTED_TASKS, SPLIT_RULE } from '../tasks.mjs';

/** The nine experts that are routed to, in the order of the tasks, with the scale on which their losses are compared. */
export async function openExperts(zoo, base) {
  const experts = await openServed(zoo, ROUTED_TASKS, base);
  return { experts, scale: lossScale(Math.max(...experts.map(({ labels }) => labels.length))) };
}

/**
 * Losses [rows, experts] of labelled rows, each expert reading them through its own branches. What an expert has no label for
 * costs the same whatever it would answer, and is not encoded.
 */
export async function measureLosses({ experts, scale }, rows, label) {
  const losses = new Float64Array(rows.length * experts.length).fill(labelLoss(undefined, scale));
  for (const [k, expert] of experts.entries()) {
    const { head, labels } = expert;
    const labelIndex = new Map(labels.map((name, index) => [name, index]));
    const known = [...rows.keys()].filter((at) => labelIndex.has(rows[at].label));
    if (known.length === 0) continue;
    const own = known.map((at) => rows[at]);
    const logs = headLogProbabilities(head, await vectorsOf(expert, own, label), WIDTH);
    known.forEach((at, row) => {
      const logProbability = logs[row * labels.length + labelIndex.get(rows[at].label)];
      losses[at * experts.length + k] = labelLoss(logProbability, scale);
    });
  }
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

/** Rows of a set's file with the base's vectors of them, which is what the router reads. */
async function embeddedRows(base, folder, set, kind) {
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

/** Parts with measured losses. */
const PARTS = ['router', 'choose', 'calibrate', 'test'];

/**
 * Rows of all routed sets by use: `expert`, without losses (the experts were trained on them: theirs are too good), and with
 * measured losses `router`, `choose` and `calibrate` (the two halves of validation) and `test`.
 */
export async function readParts(base, folder, library) {
  const lists = { expert: [], router: [], choose: [], calibrate: [], test: [] };
  for (const { set } of ROUTED_TASKS) {
    const train = await embeddedRows(base, folder, set, 'train');
    const use = train.rows.map(({ text }) => rowUse(text, SPLIT_RULE));
    for (const name of ['expert', 'router'])
      lists[name].push(takeRows(train, (_, index) => use[index] === name));
    const validation = takeRows(train, (_, index) => use[index] === 'validation');
    lists.choose.push(takeRows(validation, (_, index) => index % 2 === 0));
    lists.calibrate.push(takeRows(validation, (_, index) => index % 2 === 1));
    lists.test.push(await embeddedRows(base, folder, set, 'test'));
  }
  const parts = { expert: joinRows(lists.expert) };
  for (const name of PARTS) {
    const losses = [];
    for (const { rows } of lists[name])
      losses.push(...(await measureLosses(library, rows, `${rows[0].set}.${name}`)));
    parts[name] = { ...joinRows(lists[name]), losses: Float64Array.from(losses) };
  }
  return parts;
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
