import {
  openBundle,
  readClassifierHead,
  writeBundle,
  writeDeltaHead,
  type ClassifierHead,
} from '@thalamus/bundle';
import { join } from 'node:path';
import { ROOT } from '../support/paths.js';

const HIDDEN = 384;

/** What an update does to the head of a classifier of the zoo. */
export type Update = (head: ClassifierHead) => ClassifierHead;

/** Surer of the same answers. */
export const surer: Update = (head) => ({
  ...head,
  weights: head.weights.map((value) => value * 1.05),
  bias: head.bias.map((value) => value * 1.05),
});

/** Two labels stand for one another: right on the others, and wrong on all texts of the two. */
export const swapped =
  (one: number, other: number): Update =>
  (head) => {
    const row = (label: number) => head.weights.slice(label * HIDDEN, (label + 1) * HIDDEN);
    const [weights, bias] = [head.weights.slice(), head.bias.slice()];
    weights.set(row(one), other * HIDDEN);
    weights.set(row(other), one * HIDDEN);
    [bias[one], bias[other]] = [head.bias[other] ?? 0, head.bias[one] ?? 0];
    return { ...head, weights, bias };
  };

/** Writes an update of an expert of the zoo as a bundle of its own. */
export async function makeVersion(
  expert: string,
  version: string,
  update: Update,
  folder: string,
): Promise<void> {
  const shipped = await openBundle(join(ROOT, 'zoo/experts', expert));
  const { files, ...manifest } = shipped.manifest;
  const kept = files.filter(({ path }) => path !== 'head.safetensors');
  const parts = await Promise.all(
    kept.map(async ({ path }) => [path, await shipped.readFile(path)] as const),
  );
  const head = update(await readClassifierHead(shipped, HIDDEN));
  await writeBundle(
    folder,
    { ...manifest, version, evaluation: [] },
    { ...Object.fromEntries(parts), 'head.safetensors': writeDeltaHead(expert, head) },
  );
}
