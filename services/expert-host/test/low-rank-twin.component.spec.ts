import { openBundle, readClassifierHead, readLowRankAdapter, writeBundle } from '@thalamus/bundle';
import { buildSwitchGraph, type MergeParent } from '@thalamus/model-merge';
import { decodeModel, encodeModel } from '@thalamus/onnx-graph';
import { picoHead, picoTokenizer, writePicoBase, writePicoLowRank, writePicoProbe } from '@thalamus/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask, Host, Registry, textInput, valuesOf } from './host-harness.js';

/** The storage of the zoo's base, with blocks that the pico encoder can be cut into. */
const INT8 = { kind: 'int8', blockSize: 16 } as const;
/** Sorted, as the parents of a composition are. A rank of 0 is a probe. */
const PARENTS = [
  { name: 'bank', labels: ['block', 'other'], rank: 0, seed: 41 },
  { name: 'law', labels: ['appeal', 'other', 'law'], rank: 3, seed: 42 },
  { name: 'mail', labels: ['spam', 'other'], rank: 8, seed: 43 },
] as const;
const TEXTS = ['hello world', 'the card is lost', 'my law', 'please block the money of my card'];

let registry: Registry;
let host: Host;

/** A composition of the parents as the composer makes it, from their bundles. */
async function writeTwin(base: Uint8Array): Promise<void> {
  const opened = await Promise.all(PARENTS.map(({ name }) => openBundle(registry.path(name))));
  const parents = await Promise.all(
    opened.map(async (bundle, index): Promise<MergeParent> => ({
      name: bundle.manifest.name,
      labels: bundle.manifest.labels ?? [],
      head: await readClassifierHead(bundle, 16),
      router: picoHead(1, 60 + index),
      branches: bundle.manifest.kind === 'lowrank' ? await readLowRankAdapter(bundle) : undefined,
    })),
  );
  const { model, labels } = buildSwitchGraph({ base: decodeModel(base), parents });
  const { files, base: none, ...facts } = opened[0]!.manifest;
  expect([files.length, none?.name]).toEqual([1, 'pico']);
  await writeBundle(
    registry.path('twin'),
    {
      ...facts,
      name: 'twin',
      kind: 'twin',
      labels: [...labels],
      lineage: {
        recipe: '{}',
        parents: opened.map(({ manifest, digest }) => ({ name: manifest.name, version: '1', digest })),
        seed: 0,
      },
    },
    { 'model.onnx': encodeModel(model), 'tokenizer.json': picoTokenizer() },
  );
}

beforeAll(async () => {
  registry = await Registry.open();
  const { digest, folder } = await writePicoBase(registry.path('pico'), { name: 'pico' }, INT8);
  const base = { name: 'pico', digest };
  for (const { name, labels, rank, seed } of PARENTS)
    await (rank === 0
      ? writePicoProbe(registry.path(name), { name, seed }, labels, base)
      : writePicoLowRank(registry.path(name), { name, seed }, labels, base, { rank, alpha: rank }));
  await writeTwin(await (await openBundle(folder)).readFile('model.onnx'));
  for (const name of ['pico', ...PARENTS.map((parent) => parent.name), 'twin']) await registry.add(name);
  host = await Host.start(registry);
});
afterAll(async () => {
  await host.stop(0);
  await registry.close();
});

const scoresOf = (response: Parameters<typeof valuesOf>[0], labels: number): number[][] => {
  const scores = valuesOf(response, 'scores') as number[];
  return TEXTS.map((_, row) => scores.slice(row * labels, (row + 1) * labels));
};

const askTwin = (tasks: readonly string[]) =>
  host.client.modelInfer({
    modelName: 'twin',
    modelVersion: '1',
    inputs: [textInput(...TEXTS), { ...textInput(...tasks), name: 'task' }],
  });

describe('a composition of a probe and low-rank experts', () => {
  it('answers as its parents do beside it, each named and mixed in one batch with the router choosing', async () => {
    const union = ['block', 'other', 'appeal', 'law', 'spam'];
    const alone = await Promise.all(
      PARENTS.map(async ({ name, labels }) => scoresOf(await ask(host, name, TEXTS), labels.length)),
    );
    const names = PARENTS.map(({ name }) => name as string);
    const asked = [...names.map((name) => TEXTS.map(() => name)), [...names, ''], TEXTS.map(() => '')];
    for (const tasks of asked) {
      const response = await askTwin(tasks);
      const answered = valuesOf(response, 'parent') as string[];
      tasks.forEach((task, row) => expect(task === '' ? names : [task]).toContain(answered[row]));
      scoresOf(response, union.length).forEach((row, at) => {
        const parent = names.indexOf(answered[at]!);
        const labels: readonly string[] = PARENTS[parent]!.labels;
        row.forEach((score, label) => {
          const own = labels.indexOf(union[label]!);
          expect(Math.abs(score - (own < 0 ? 0 : alone[parent]![at]![own]!))).toBeLessThan(1e-4);
        });
      });
    }
  });
});
