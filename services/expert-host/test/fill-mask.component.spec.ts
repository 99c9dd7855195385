import { openBundle, readLowRankAdapter, readMaskedLmHead } from '@thalamus/bundle';
import { OrtRuntime } from '@thalamus/inference';
import { decodeModel, encodeModel, readBertWeights, type OnnxModel } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import {
  PICO_CONFIG,
  PICO_VOCABULARY,
  picoEncoder,
  picoId,
  picoMaskedLmHead,
  picoWeights,
  waitUntil,
  writePicoBase,
  writePicoLowRank,
  writePicoMaskedLm,
  writePicoTextGraph,
} from '@thalamus/testing';
import { maskedLmGraph, withHead } from '@thalamus/training';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask, Host, refusalOf, Registry, textInput, valuesOf } from './host-harness.js';
import {
  everyPlaceModel,
  headModel,
  headWeights,
  materialised,
  outputsOf,
  probabilities,
} from './text-graphs.js';

/** The storage of the zoo, with blocks that the pico encoder can be cut into. */
const INT8 = { kind: 'int8', blockSize: 16 } as const;
const FILLERS = {
  first: { rank: 4, alpha: 8, seed: 41 },
  second: { rank: 16, alpha: 16, seed: 42 },
  rounded: { rank: 4, alpha: 4, seed: 45 },
} as const;
/** Largest difference of probabilities: in float32, and where int8 products round the states as well, in blocks of 16. */
const EXACT = 1e-4;
const ROUNDED = 0.03;
type Name = keyof typeof FILLERS;
const TEXTS = [
  'the [MASK] is lost',
  'hello',
  'please [MASK] my [MASK], it is the money of my law court',
  'x[MASK]',
];
const MASKED = TEXTS.filter((text) => text.includes('[MASK]'));
const PLACES = [0, 1, 1, 2];

let registry: Registry;
let host: Host;
let small: OnnxModel;
let everyPlace: OnnxModel;

beforeAll(async () => {
  registry = await Registry.open();
  const { digest } = await writePicoBase(registry.path('pico'), { name: 'pico' });
  const base = { name: 'pico', digest };
  const int8 = await writePicoBase(registry.path('int8'), { name: 'int8' }, INT8);
  const { seed: roundedSeed, ...rounded } = FILLERS.rounded;
  const over = { name: 'int8', digest: int8.digest };
  await writePicoMaskedLm(registry.path('rounded'), { name: 'rounded', seed: roundedSeed }, over, rounded);
  for (const name of ['first', 'second'] as const) {
    const { seed, ...branches } = FILLERS[name];
    await writePicoMaskedLm(registry.path(name), { name, seed }, base, branches);
  }
  const lora = { rank: 2, alpha: 2 };
  await writePicoLowRank(registry.path('classes'), { name: 'classes', seed: 43 }, ['a', 'b'], base, lora);
  const weights = withHead(picoWeights(7), headWeights(picoMaskedLmHead(44)));
  small = maskedLmGraph(PICO_CONFIG, weights, INT8);
  await writePicoTextGraph(registry.path('small'), { name: 'small' }, { task: 'fill-mask' }, small);
  const words = picoWeights(3).get('embeddings.word_embeddings.weight');
  if (!words) throw new Error('the pico encoder has no words');
  everyPlace = everyPlaceModel(words);
  await writePicoTextGraph(registry.path('every'), { name: 'every' }, { task: 'fill-mask' }, everyPlace);
  for (const name of ['pico', 'int8', 'rounded', 'first', 'second', 'classes', 'small', 'every'])
    await registry.add(name);
  host = await Host.start(registry, {
    THALAMUS_BATCH_DELAY_MS: '100',
    THALAMUS_MAX_BATCH_TOKENS: '4096',
  });
});
afterAll(async () => {
  await host.stop(0);
  await registry.close();
});

const positionsOf = (ids: readonly number[]) =>
  [...ids.keys()].filter((position) => ids[position] === picoId('[MASK]'));
const masks = (ids: readonly number[]) => {
  const positions = positionsOf(ids);
  return { masked_positions: tensor('int64', [positions.length], BigInt64Array.from(positions, BigInt)) };
};

/** Probabilities [vocabulary] of each masked place, from a graph that scores those alone. */
async function selective(model: OnnxModel): Promise<number[][]> {
  const size = PICO_VOCABULARY.length;
  return (await outputsOf(model, MASKED, masks)).flatMap(({ ids, outputs }) => {
    const logits = outputs['logits']?.data as Float32Array;
    return positionsOf(ids).map((_, at) => probabilities(logits.subarray(at * size, (at + 1) * size)));
  });
}

/** The same for an expert over the base: hidden states from a graph with its branches alone, then its head in float32. */
async function alone(name: Name): Promise<number[][]> {
  const bundle = await openBundle(registry.path(name));
  const base = decodeModel(encodeModel(picoEncoder(1, name === 'rounded' ? INT8 : undefined)));
  const sizes = { hidden: PICO_CONFIG.hiddenSize, vocabulary: PICO_VOCABULARY.length };
  const words = readBertWeights(base).weights.get('embeddings.word_embeddings.weight');
  if (!words) throw new Error('the base has no words');
  const runtime = new OrtRuntime();
  const head = headModel(headWeights(await readMaskedLmHead(bundle, sizes)), words);
  const session = await runtime.load({ bytes: encodeModel(head) });
  const rows: number[][] = [];
  for (const { ids, outputs } of await outputsOf(
    materialised(base, await readLowRankAdapter(bundle)),
    MASKED,
  )) {
    const states = outputs['last_hidden_state']?.data as Float32Array;
    for (const at of positionsOf(ids)) {
      const hidden = tensor(
        'float32',
        [1, sizes.hidden],
        states.slice(at * sizes.hidden, (at + 1) * sizes.hidden),
      );
      const { logits } = await session.run({ hidden });
      rows.push(probabilities(logits?.data as Float32Array));
    }
  }
  await runtime.close();
  return rows;
}

const fill = (expert: string, texts: readonly string[], topK?: number) =>
  host.client.modelInfer({
    modelName: expert,
    modelVersion: '1',
    inputs: [textInput(...texts)],
    parameters:
      topK === undefined ? {} : { top_k: { parameterChoice: { case: 'int64Param', value: BigInt(topK) } } },
  });

type Answer = Awaited<ReturnType<typeof fill>>;

/** Holds an answer against the probabilities of each masked place. */
function expectFillings(
  answer: Answer,
  expected: readonly (readonly number[])[],
  topK: number,
  within = EXACT,
) {
  const shapes = answer.outputs.map(({ name, datatype, shape }) => [name, datatype, shape.map(Number)]);
  expect(shapes).toEqual([
    ['token', 'INT64', [expected.length, topK]],
    ['token_str', 'BYTES', [expected.length, topK]],
    ['score', 'FP32', [expected.length, topK]],
    ['text_index', 'INT64', [expected.length]],
  ]);
  const [tokens, texts, scores] = ['token', 'token_str', 'score'].map((name) => valuesOf(answer, name));
  expected.forEach((row, place) => {
    const best = [...row].sort((a, b) => b - a);
    for (let k = 0; k < topK; k++) {
      const at = place * topK + k;
      expect(Math.abs(Number(scores?.[at]) - (best[k] ?? 0))).toBeLessThan(within);
      expect(Math.abs((row[Number(tokens?.[at])] ?? 0) - (best[k] ?? 0))).toBeLessThan(within);
      expect(texts?.[at]).toBe(PICO_VOCABULARY[Number(tokens?.[at])]);
    }
  });
}

describe('fill-mask by a graph of its own', () => {
  it('answers as the graph does alone, for texts of unlike length in one batch', async () => {
    const answer = await fill('small', MASKED);
    expectFillings(answer, await selective(small), 5);
    expect(valuesOf(answer, 'text_index')).toEqual(PLACES);
    expect(Number(answer.parameters['batch_size']?.parameterChoice.value)).toBe(3);
  });

  it('answers from a graph that scores every place', async () => {
    const size = PICO_VOCABULARY.length;
    const expected = (await outputsOf(everyPlace, MASKED)).flatMap(({ ids, outputs }) => {
      const logits = outputs['logits']?.data as Float32Array;
      return positionsOf(ids).map((at) => probabilities(logits.subarray(at * size, (at + 1) * size)));
    });
    expectFillings(await fill('every', MASKED), expected, 5);
  });

  it('gives as many tokens as are asked for, and never more than there are', async () => {
    const expected = await selective(small);
    expectFillings(await fill('small', MASKED, 1), expected, 1);
    expectFillings(await fill('small', MASKED, 1_000), expected, PICO_VOCABULARY.length);
  });

  it('says what it takes and gives', async () => {
    const { inputs, outputs } = await host.client.modelMetadata({ name: 'small', version: '1' });
    expect([...inputs, ...outputs].map(({ name }) => name)).toEqual([
      'text',
      'token',
      'token_str',
      'score',
      'text_index',
    ]);
    const { config } = await host.client.modelConfig({ name: 'small', version: '1' });
    expect(config?.parameters['request_parameters']?.stringValue).toBe('["top_k"]');
  });
});

describe('fill-mask over a base', () => {
  it('mixes experts and classifiers in one batch, each as it answers alone', async () => {
    const before = valuesOf(await ask(host, 'classes', TEXTS), 'scores') as number[];
    // Who was alone the last time does not wait, so the first try may find them apart.
    const [first, second, classes] = await waitUntil('one batch of all', async () => {
      const answers = await Promise.all([
        fill('first', MASKED),
        fill('second', MASKED, 3),
        ask(host, 'classes', TEXTS),
      ]);
      const size = Number(answers[0].parameters['batch_size']?.parameterChoice.value);
      return size === 10 ? answers : undefined;
    });
    const [own, other] = [await alone('first'), await alone('second')];
    expectFillings(first, own, 5);
    expectFillings(second, other, 3);
    // The experts differ: what is right of one is wrong of the other.
    const apart = (own[0] ?? []).map((value, token) => Math.abs(value - (other[0]?.[token] ?? 0)));
    expect(Math.max(...apart)).toBeGreaterThan(0.1);
    const after = valuesOf(classes, 'scores') as number[];
    after.forEach((score, i) => {
      expect(Math.abs(score - (before[i] ?? 0))).toBeLessThan(1e-5);
    });
  });

  it('keeps the decoder of an int8 base as int8, and answers within its rounding', async () => {
    const expected = await alone('rounded');
    expectFillings(await fill('rounded', MASKED, 1), expected, 1, ROUNDED);
    // Most of the probability is far above the rounding: an answer of chance would not pass.
    expect(Math.max(...(expected[0] ?? []))).toBeGreaterThan(10 * ROUNDED);
  });

  it('comes back with its heads after the inference process has died, and after an unload', async () => {
    process.kill(host.childPid('pico'), 'SIGKILL');
    const answer = await fill('first', MASKED);
    expectFillings(answer, await alone('first'), 5);
    await host.client.repositoryModelUnload({ modelName: 'first@1' });
    expect(await refusalOf(fill('first', MASKED))).toMatchObject({ code: 'EXPERT_NOT_READY' });
    expectFillings(await fill('second', MASKED), await alone('second'), 5);
    await host.client.repositoryModelLoad({ modelName: 'first' });
    expectFillings(await fill('first', MASKED), await alone('first'), 5);
  });
});

describe.each(['small', 'first'])('fill-mask of %s refuses', (expert) => {
  const many = '[MASK]'.repeat(24);

  it.each([
    ['a text without a mask, by its place', ['fine [MASK]', 'no mask'], /element 1 holds no \[MASK\]/],
    ['another spelling of the mask', ['fine [mask]'], /element 0 holds no \[MASK\]/],
    [
      'a mask beyond the tokens that are read',
      [`${'hello '.repeat(40)}[MASK]`],
      /element 0 has its \[MASK\] beyond the first 32 tokens/,
    ],
  ])('%s', async (_, texts, message) => {
    const refusal = await refusalOf(fill(expert, texts));
    expect(refusal).toMatchObject({ code: 'TENSOR_INVALID', grpc: 'INVALID_ARGUMENT', fields: ['text'] });
    expect(refusal.message).toMatch(message);
  });

  it.each([
    ['none', { case: 'int64Param', value: 0n }],
    ['too many', { case: 'int64Param', value: 1_001n }],
    ['half of one', { case: 'doubleParam', value: 0.5 }],
    ['a word', { case: 'stringParam', value: 'five' }],
  ] as const)('a top_k of %s', async (_, parameterChoice) => {
    const request = { modelName: expert, modelVersion: '1', inputs: [textInput(many)] };
    const refused = host.client.modelInfer({ ...request, parameters: { top_k: { parameterChoice } } });
    expect(await refusalOf(refused)).toMatchObject({ code: 'REQUEST_INVALID', fields: ['parameters.top_k'] });
  });
});

describe('a masked language model that cannot be served', () => {
  it('fails alone, with the reason in the index', async () => {
    const folder = registry.path('no-logits');
    await writePicoTextGraph(folder, { name: 'no-logits' }, { task: 'fill-mask' }, picoEncoder());
    await registry.add('no-logits');
    await host.until('no-logits', '1', 'failed');
    const { models } = await host.client.repositoryIndex({});
    const found = models.find(({ name }) => name === 'no-logits');
    expect(found).toMatchObject({ state: 'UNAVAILABLE' });
    expect(found?.reason).toContain('has no float32 output logits');
    expectFillings(await fill('small', MASKED), await selective(small), 5);
  });
});
