import { GraphBuilder } from '@thalamus/onnx-graph';
import { cosine, softmax, tensor } from '@thalamus/tensor';
import { PICO_CONFIG, writePicoBase, writePicoGraph, writePicoTextGraph } from '@thalamus/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Host, refusalOf, Registry, textInput, valuesOf } from './host-harness.js';
import { classifierModel, encoderModel, outputsOf } from './text-graphs.js';

const { hiddenSize: WIDTH } = PICO_CONFIG;
const TEXTS = ['hello world', 'I lost my card, please block it', 'the court'];
const LABELS = ['a', 'b', 'c'];
const CLASSES = classifierModel(3, 51);
const STATES = encoderModel('last_hidden_state', 'token_embeddings');

let registry: Registry;
let host: Host;

const classification = { task: 'text-classification' as const, labels: LABELS };
const extraction = { task: 'feature-extraction' as const };

beforeAll(async () => {
  registry = await Registry.open();
  await writePicoBase(registry.path('base'), { name: 'base' });
  const text = (name: string, ...rest: [Parameters<typeof writePicoTextGraph>[2], typeof CLASSES]) =>
    writePicoTextGraph(registry.path(name), { name }, ...rest);
  await text('single', classification, CLASSES);
  await text('multi', { ...classification, problemType: 'multi_label_classification' }, CLASSES);
  await text('typed', classification, classifierModel(3, 51, ['token_type_ids']));
  await text('states', extraction, STATES);
  await text('first', { ...extraction, pooling: 'cls' }, STATES);
  await text('pooled', extraction, encoderModel('pooled', 'sentence_embedding'));
  await text('two-labels', { ...classification, labels: ['a', 'b'] }, CLASSES);
  await text('odd-input', classification, classifierModel(3, 51, ['position_ids']));
  await text('no-ids', { ...classification, labels: ['a', 'b'] }, pixels('logits'));
  await writePicoGraph(registry.path('pixels'), { name: 'pixels' }, pixels());
  const names = ['base', 'single', 'multi', 'typed', 'states', 'first', 'pooled', 'pixels'];
  for (const name of [...names, 'two-labels', 'odd-input', 'no-ids']) await registry.add(name);
  host = await Host.start(registry, { THALAMUS_BATCH_DELAY_MS: '20' });
});
afterAll(async () => {
  await host.stop(0);
  await registry.close();
});

/** A graph of no text: the mean of each image's bytes and twice that, from uint8 [images, 2, 2]. */
function pixels(output = 'scores') {
  const builder = new GraphBuilder();
  const image = builder.input('image', 'uint8', ['images', 2, 2]);
  const axes = builder.constant('axes', tensor('int64', [2], BigInt64Array.of(1n, 2n)));
  const values = builder.node('Cast', [image], { attributes: { to: 1 } });
  const mean = builder.node('ReduceMean', [values, axes], { attributes: { keepdims: 0 } });
  const last = builder.constant('last', tensor('int64', [1], BigInt64Array.of(1n)));
  const column = builder.node('Unsqueeze', [mean, last]);
  const twice = builder.node('Add', [column, column]);
  const both = builder.node('Concat', [column, twice], { name: output, attributes: { axis: 1 } });
  builder.output(both, 'float32', ['images', 2]);
  return builder.build({ name: 'pixels' });
}

type Given = Parameters<Host['client']['modelInfer']>[0]['parameters'];

const infer = (modelName: string, parameters: Given = {}, texts: readonly string[] = TEXTS) =>
  host.client.modelInfer({ modelName, inputs: [textInput(...texts)], parameters });

const text = (value: string) => ({ parameterChoice: { case: 'stringParam' as const, value } });
const bool = (value: boolean) => ({ parameterChoice: { case: 'boolParam' as const, value } });

function expectClose(values: readonly (number | string)[], expected: readonly number[]) {
  expect(values.length).toBe(expected.length);
  values.forEach((value, i) => {
    expect(Math.abs(Number(value) - (expected[i] ?? 0))).toBeLessThan(1e-5);
  });
}

const logits = async () =>
  (await outputsOf(CLASSES, TEXTS)).map(({ outputs }) => [...(outputs['logits']?.data as Float32Array)]);

describe('text-classification by a graph of its own', () => {
  it.each(['single', 'typed'])('of %s gives label, score and a softmax over the labels', async (name) => {
    const answer = await infer(name);
    expect(answer.modelVersion).toBe('1');
    const expected = (await logits()).map((row) => [...softmax(row)]);
    expectClose(valuesOf(answer, 'scores'), expected.flat());
    const best = expected.map((row) => row.indexOf(Math.max(...row)));
    expect(valuesOf(answer, 'label')).toEqual(best.map((index) => LABELS[index]));
    expectClose(
      valuesOf(answer, 'score'),
      expected.map((row) => Math.max(...row)),
    );
    const labels = answer.outputs[2]?.parameters['labels']?.parameterChoice.value;
    expect(JSON.parse(String(labels))).toEqual(LABELS);
    expect(Number(answer.parameters['batch_size']?.parameterChoice.value)).toBe(3);
  });

  it('gives each label a probability of its own where a text may have several', async () => {
    const answer = await infer('multi');
    const expected = (await logits()).map((row) => row.map((logit) => 1 / (1 + Math.exp(-logit))));
    expectClose(valuesOf(answer, 'scores'), expected.flat());
    const { config } = await host.client.modelConfig({ name: 'multi' });
    expect(config?.parameters['problem_type']?.stringValue).toBe('multi_label_classification');
  });

  it.each([
    ['two-labels', 'gives 3 logits, but its manifest names 2 labels'],
    ['odd-input', 'needs the input position_ids, which texts have no values for'],
    ['no-ids', 'has no input input_ids'],
  ])('refuses the bundle %s, with the reason in the index', async (name, reason) => {
    const { models } = await host.client.repositoryIndex({});
    const found = models.find((model) => model.name === name);
    expect(found).toMatchObject({ state: 'UNAVAILABLE' });
    expect(found?.reason).toContain(reason);
  });
});

/** Means, or first states, of the last layer, from a graph in this process. */
async function pooledHere(pooling: 'mean' | 'cls', normalise: boolean): Promise<number[]> {
  const results = await outputsOf(STATES, TEXTS);
  return results.flatMap(({ ids, outputs }) => {
    const states = outputs['token_embeddings']?.data as Float32Array;
    const count = pooling === 'cls' ? 1 : ids.length;
    const vector = Array.from({ length: WIDTH }, (_, i) => {
      let sum = 0;
      for (let at = 0; at < count; at++) sum += states[at * WIDTH + i] ?? 0;
      return sum / count;
    });
    const length = normalise ? Math.hypot(...vector) : 1;
    return vector.map((value) => value / length);
  });
}

describe('feature-extraction', () => {
  it.each(['base', 'states'])('of %s pools and normalises as the request says', async (name) => {
    for (const pooling of ['mean', 'cls'] as const)
      for (const normalize of [true, false]) {
        const answer = await infer(name, { pooling: text(pooling), normalize: bool(normalize) });
        expect(answer.outputs[0]).toMatchObject({ name: 'embedding', shape: [3n, BigInt(WIDTH)] });
        expectClose(valuesOf(answer, 'embedding'), await pooledHere(pooling, normalize));
      }
    expectClose(valuesOf(await infer(name), 'embedding'), await pooledHere('mean', true));
  });

  it('pools as its manifest says when the request says nothing', async () => {
    expectClose(valuesOf(await infer('first'), 'embedding'), await pooledHere('cls', true));
    const mean = await infer('first', { pooling: text('mean') });
    expectClose(valuesOf(mean, 'embedding'), await pooledHere('mean', true));
  });

  it('takes a vector that the graph has pooled as it is', async () => {
    const raw = valuesOf(await infer('pooled', { normalize: bool(false) }), 'embedding').map(Number);
    expectClose(raw, await pooledHere('mean', false));
    const unit = valuesOf(await infer('pooled'), 'embedding').map(Number);
    expect(Math.hypot(...unit.slice(0, WIDTH))).toBeCloseTo(1, 5);
    expect(cosine(raw.slice(0, WIDTH), unit.slice(0, WIDTH))).toBeCloseTo(1, 5);
  });

  it.each([
    ['base', { pooling: text('max') }, 'pooling', /must be one of mean, cls/],
    ['states', { normalize: text('yes') }, 'normalize', /must be a bool/],
    ['pooled', { pooling: text('mean') }, 'pooling', /is not a known parameter; known are/],
    ['single', { pooling: text('mean') }, 'pooling', /is not a known parameter/],
  ])('of %s refuses what it does not offer', async (name, parameters, field, message) => {
    const refusal = await refusalOf(infer(name, parameters));
    expect(refusal).toMatchObject({ code: 'REQUEST_INVALID', fields: [`parameters.${field}`] });
    expect(refusal.message).toMatch(message);
  });
});

describe('a graph that reads no text', () => {
  const image = { name: 'image', datatype: 'UINT8', shape: [2n, 2n, 2n] };
  const bytes = Uint8Array.of(1, 2, 3, 4, 10, 20, 30, 40);

  it('takes and gives its tensors, typed or raw', async () => {
    const typed = { ...image, contents: { uintContents: [...bytes] } };
    for (const request of [{ inputs: [typed] }, { inputs: [image], rawInputContents: [bytes] }]) {
      const answer = await host.client.modelInfer({ modelName: 'pixels', ...request });
      expect(valuesOf(answer, 'scores')).toEqual([2.5, 5, 25, 50]);
      expect(answer.parameters['prompt_tokens']?.parameterChoice.value).toBe(0n);
    }
  });

  it('gives the highest classes of an output that is asked for them, as Triton writes them', async () => {
    const classification = { parameterChoice: { case: 'int64Param' as const, value: 1n } };
    const asked = (modelName: string, inputs: object[], raw: Uint8Array[], output: string) =>
      host.client.modelInfer({
        modelName,
        inputs,
        rawInputContents: raw,
        outputs: [{ name: output, parameters: { classification } }],
      });
    const answer = await asked('pixels', [image], [bytes], 'scores');
    expect(answer.outputs[0]).toMatchObject({ datatype: 'BYTES', shape: [2n, 1n] });
    expect(valuesOf(answer, 'scores')).toEqual(['5.000000:1', '50.000000:1']);
    const labelled = await asked('single', [textInput('the court')], [], 'scores');
    expect(valuesOf(labelled, 'scores')[0]).toMatch(/^0\.\d{6}:\d:[abc]$/);
    const refusal = await refusalOf(asked('single', [textInput('the court')], [], 'label'));
    expect(refusal).toMatchObject({ fields: ['outputs.label.parameters.classification'] });
  });
});
