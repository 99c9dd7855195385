import { openBundle, writeBundle } from '@thalamus/bundle';
import {
  buildMaskedTwinGraph,
  chooseRanks,
  decomposeExclusiveVectors,
  maxRankOf,
  type TokenRouter,
} from '@thalamus/model-merge';
import { buildBertEncoder, decodeModel, encodeModel, readBertWeights } from '@thalamus/onnx-graph';
import {
  PICO_CONFIG,
  PICO_VOCABULARY,
  picoId,
  picoTokenizer,
  writePicoBase,
  writePicoMaskedLm,
} from '@thalamus/testing';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { foldBranches, MASKED_LM_HEAD, openTrainingBase, readMaskedLm } from '@thalamus/training';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Host, Registry, textInput, valuesOf } from './host-harness.js';

/** Sorted, as the parents of a composition are. */
const PARENTS = [
  { name: 'bank', seed: 41, rank: 4, alpha: 8 },
  { name: 'law', seed: 42, rank: 8, alpha: 8 },
] as const;
const TEXTS = ['the [MASK] is lost', 'please [MASK] my [MASK], it is the court', 'x[MASK]'];
/** The one word that the router knows is in the second text. */
const OWNERS = ['bank', 'law', 'bank'];
const MASKS_OF_TEXTS = [1, 2, 1];
const FULL_RANK = { kind: 'rank', rank: 64 } as const;

let registry: Registry;
let host: Host;

/** A router that gives a text with the word `court` to the second parent, and others to the first. */
function wordRouter(): TokenRouter {
  const size = PICO_VOCABULARY.length;
  const words = new Float32Array(size * PARENTS.length);
  words[picoId('court') * PARENTS.length + 1] = 400;
  return {
    parents: PARENTS.length,
    vocabulary: size,
    buckets: 7,
    words,
    means: new Float32Array(size * PARENTS.length),
    pairs: new Float32Array(7 * PARENTS.length),
    bias: Float32Array.of(40, 0),
    sharpness: 1,
  };
}

/** A composition of the parents as the composer makes it, from their bundles, with nothing cut off. */
async function writeTwin(baseFolder: string): Promise<void> {
  const runtime = new OrtRuntime();
  const readTokenizer = (json: Uint8Array) => Tokenizer.parse(json);
  const base = await openTrainingBase(baseFolder, { runtime, threads: 1, readTokenizer });
  const bundles = await Promise.all(PARENTS.map(({ name }) => openBundle(registry.path(name))));
  const shared = readBertWeights(
    decodeModel(await (await openBundle(baseFolder)).readFile('model.onnx')),
  ).weights;
  const parents = await Promise.all(
    bundles.map(async (bundle) => {
      const { factors, scale, head } = await readMaskedLm(bundle, base);
      const value = (part: keyof typeof MASKED_LM_HEAD) => head.get(MASKED_LM_HEAD[part])!;
      return {
        name: bundle.manifest.name,
        weights: foldBranches(shared, factors, scale),
        head: {
          dense: value('dense'),
          denseBias: value('denseBias'),
          gain: value('gain'),
          shift: value('shift'),
          bias: value('bias'),
        },
      };
    }),
  );
  await runtime.close();
  const vectors = await decomposeExclusiveVectors(shared, parents, {
    maxRank: maxRankOf(FULL_RANK),
    seed: 1,
  });
  const { model } = buildMaskedTwinGraph({
    encoder: buildBertEncoder(PICO_CONFIG, shared, { kind: 'float32' }),
    mixture: vectors.mixture(chooseRanks(vectors.spectra, FULL_RANK)),
    router: wordRouter(),
    abstainBelow: 0,
    parents,
  });
  const { files, base: none, ...facts } = bundles[0]!.manifest;
  expect([files.length > 0, none?.name]).toEqual([true, 'pico']);
  await writeBundle(
    registry.path('twin'),
    {
      ...facts,
      name: 'twin',
      kind: 'twin',
      lineage: {
        recipe: '{}',
        parents: bundles.map(({ manifest, digest }) => ({ name: manifest.name, version: '1', digest })),
        seed: 0,
      },
    },
    { 'model.onnx': encodeModel(model), 'tokenizer.json': picoTokenizer() },
  );
}

beforeAll(async () => {
  registry = await Registry.open();
  const { digest, folder } = await writePicoBase(registry.path('pico'), { name: 'pico' });
  for (const { name, seed, rank, alpha } of PARENTS)
    await writePicoMaskedLm(registry.path(name), { name, seed }, { name: 'pico', digest }, { rank, alpha });
  await writeTwin(folder);
  for (const name of ['pico', ...PARENTS.map((parent) => parent.name), 'twin']) await registry.add(name);
  host = await Host.start(registry);
});
afterAll(async () => {
  await host.stop(0);
  await registry.close();
});

const fill = (expert: string, ...texts: readonly string[]) =>
  host.client.modelInfer({
    modelName: expert,
    modelVersion: '1',
    inputs: [textInput(...texts)],
    parameters: { top_k: { parameterChoice: { case: 'int64Param', value: 3n } } },
  });

describe('a composed masked language model', () => {
  it('fills each text as its own parent does, texts of both in one batch', async () => {
    const answer = await fill('twin', ...TEXTS);
    const scores = valuesOf(answer, 'score') as number[];
    const tokens = valuesOf(answer, 'token').map(Number);
    let from = 0;
    for (const [at, text] of TEXTS.entries()) {
      const alone = await fill(OWNERS[at]!, text);
      const to = from + 3 * MASKS_OF_TEXTS[at]!;
      expect(tokens.slice(from, to)).toEqual(valuesOf(alone, 'token').map(Number));
      (valuesOf(alone, 'score') as number[]).forEach((score, k) => {
        expect(Math.abs(score - (scores[from + k] ?? 0))).toBeLessThan(1e-3);
      });
      from = to;
    }
    expect(scores).toHaveLength(from);
    // The parents differ: what the one says is not what the other does.
    const other = await fill('law', TEXTS[0]!);
    expect(valuesOf(other, 'score')).not.toEqual(valuesOf(await fill('bank', TEXTS[0]!), 'score'));
  });

  it('says how each text was routed, beside the outputs of every fill-mask expert', async () => {
    const { inputs, outputs } = await host.client.modelMetadata({ name: 'twin', version: '1' });
    expect([...inputs, ...outputs].map(({ name }) => name)).toEqual([
      'text',
      'token',
      'token_str',
      'score',
      'text_index',
      'router_weights',
      'parent',
    ]);
    const answer = await fill('twin', ...TEXTS);
    expect(valuesOf(answer, 'parent')).toEqual(OWNERS);
    const weights = valuesOf(answer, 'router_weights') as number[];
    expect(weights).toHaveLength(TEXTS.length * PARENTS.length);
    expect(weights[0]).toBeGreaterThan(0.99);
    expect(weights[3]).toBeGreaterThan(0.99);
  });
});
