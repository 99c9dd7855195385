import { openBundle, writeBundle, type ExpertManifest } from '@thalamus/bundle';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { buildSwitchGraph } from '@thalamus/model-merge';
import { encodeModel, GraphBuilder, graphOf, type OnnxModel } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import {
  PICO_CONFIG,
  PICO_VOCABULARY,
  picoEncoder,
  picoFacts,
  picoHead,
  picoTokenizer,
  writePicoBase,
  writePicoProbe,
} from '@thalamus/testing';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainingBase } from '../training-base.port.js';
import { openClassifier } from './open-classifier.js';
import { openMaskedLm } from './open-masked-lm.js';
import { openTrainingBase, type BaseTools } from './open-training-base.js';
import { measureMaskedLm, requireMask, textWindows } from './text-windows.js';

const { hiddenSize: WIDTH } = PICO_CONFIG;
const LABELS = ['cards', 'law', 'greeting'];
const TEXTS = ['my card is lost', 'the law of the court', 'hello world', 'please block it'];
const WORDS = PICO_VOCABULARY.length;

/** The encoder inside a graph with more inputs, as exporters write it. */
function inGraph(inputs: readonly string[]) {
  const builder = new GraphBuilder();
  const made = inputs.map((name) => [name, builder.input(name, 'int64', ['batch', 'sequence'])] as const);
  const bindings = Object.fromEntries(made.filter(([name]) => /^(input_ids|attention_mask)$/.test(name)));
  return { builder, outputs: builder.embed(picoEncoder(), '', bindings) };
}

/** The classifier whose head `writePicoProbe` writes for the seed 1, as a graph of its own. */
function classifier(inputs = ['input_ids', 'attention_mask', 'token_type_ids']): OnnxModel {
  const { builder, outputs } = inGraph(inputs);
  const { weights, bias } = picoHead(LABELS.length, 1);
  const head = builder.constant('head', tensor('float32', [LABELS.length, WIDTH], weights));
  const product = builder.node('MatMul', [outputs['embedding']!, builder.node('Transpose', [head])]);
  const added = builder.constant('bias', tensor('float32', [LABELS.length], bias));
  const logits = builder.node('Add', [product, added], { name: 'logits' });
  builder.output(logits, 'float32', ['batch', LABELS.length]);
  return builder.build({ name: 'classifier' });
}

/** A masked language model that scores every place, or the asked ones. */
function masked(scores: 'every place' | 'asked places'): OnnxModel {
  const { builder, outputs } = inGraph(['input_ids', 'attention_mask']);
  const data = Float32Array.from({ length: WIDTH * WORDS }, (_, at) => Math.sin(at));
  const words = builder.constant('words', tensor('float32', [WIDTH, WORDS], data));
  const states = outputs['last_hidden_state']!;
  if (scores === 'every place') {
    const logits = builder.node('MatMul', [states, words], { name: 'logits' });
    builder.output(logits, 'float32', ['batch', 'sequence', WORDS]);
    return builder.build({ name: 'masked' });
  }
  const places = builder.input('masked_positions', 'int64', ['masked']);
  const shape = builder.constant('shape', tensor('int64', [2], BigInt64Array.from([-1n, BigInt(WIDTH)])));
  const asked = builder.node('Gather', [builder.node('Reshape', [states, shape]), places]);
  builder.output(builder.node('MatMul', [asked, words], { name: 'logits' }), 'float32', ['masked', WORDS]);
  return builder.build({ name: 'masked' });
}

/** Moves the head into a file beside the graph. */
function movedOut(model: OnnxModel, location: string): Uint8Array {
  const head = graphOf(model).initializer.find(({ name }) => name === 'head')!;
  const data = head.rawData;
  const entry = { $typeName: 'onnx.StringStringEntryProto', key: 'location', value: location };
  // 1 is TensorProto.EXTERNAL.
  Object.assign(head, { rawData: new Uint8Array(0), dataLocation: 1, externalData: [entry] });
  return data;
}

describe('experts with a graph of their own, measured', () => {
  let folder = '';
  let base: TrainingBase;
  let tools: BaseTools;
  const runtime = new OrtRuntime();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'own-graph-'));
    await writePicoBase(join(folder, 'base'), { name: 'pico' });
    tools = { runtime, threads: 1, readTokenizer: (json) => Tokenizer.parse(json) };
    base = await openTrainingBase(join(folder, 'base'), tools);
  });
  afterAll(async () => {
    await runtime.close();
    await rm(folder, { recursive: true, force: true });
  });

  const written = async (
    manifest: Pick<ExpertManifest, 'task'> & Partial<ExpertManifest>,
    model: OnnxModel,
    files: Readonly<Record<string, Uint8Array>> = {},
  ) => {
    const place = join(await mkdtemp(join(folder, 'made-')), 'expert');
    const facts = { ...picoFacts(), name: 'own', version: '1', kind: 'full' as const };
    await writeBundle(
      place,
      { ...facts, maxTokens: PICO_CONFIG.maxPositions, ...manifest },
      { 'model.onnx': encodeModel(model), 'tokenizer.json': picoTokenizer(), ...files },
    );
    return openBundle(place);
  };
  const answers = async (expert: Awaited<ReturnType<typeof openBundle>>) => {
    const opened = await openClassifier(expert, { ...tools, base });
    const scores = await opened.answer(TEXTS);
    await opened.release();
    return [...scores];
  };
  const probe = async (name: string, seed: number, labels: readonly string[]) => {
    await writePicoProbe(join(folder, name), { name, seed }, labels, { name: 'pico', digest: base.digest });
    return answers(await openBundle(join(folder, name)));
  };
  const expectClose = (given: readonly number[], wanted: readonly number[]) => {
    expect(given).toHaveLength(wanted.length);
    given.forEach((value, at) => expect(value).toBeCloseTo(wanted[at]!, 4));
  };
  const classifies = { task: 'text-classification', labels: LABELS } as const;

  it.each([
    ['token types', ['input_ids', 'attention_mask', 'token_type_ids']],
    ['no token types', ['input_ids', 'attention_mask']],
  ])('a classifier with %s answers as the head that is in it', async (_, inputs) => {
    expectClose(
      await answers(await written(classifies, classifier(inputs))),
      await probe('heads', 1, LABELS),
    );
  });

  it('a classifier whose weights lie in a file beside it, too', async () => {
    const model = classifier();
    const data = movedOut(model, 'model.onnx_data');
    const expert = await written(classifies, model, { 'model.onnx_data': data });
    expectClose(await answers(expert), await probe('beside', 1, LABELS));
  });

  it('a composition answers as the parent that its router chose; labels of others cost ln(labels) + 1', async () => {
    const [left, right] = [
      ['a', 'b'],
      ['c', 'd', 'e'],
    ];
    const router = (bias: number) => ({
      weights: Float32Array.from({ length: WIDTH }, (_, at) => bias * Math.cos(at)),
      bias: new Float32Array(1),
    });
    const parents = [
      { name: 'left', labels: left, head: picoHead(2, 3), router: router(5) },
      { name: 'right', labels: right, head: picoHead(3, 4), router: router(-5) },
    ];
    const { model, labels } = buildSwitchGraph({ base: picoEncoder(), parents });
    const twin = await written({ task: 'text-classification', kind: 'twin', labels: [...labels] }, model);
    const [byLeft, byRight] = [await probe('left', 3, left), await probe('right', 4, right)];
    const absent = -(Math.log(5) + 1);
    const given = await answers(twin);
    const isClose = (row: readonly number[], wanted: readonly number[]) =>
      row.every((value, at) => Math.abs(value - wanted[at]!) < 1e-4);
    TEXTS.forEach((_, row) => {
      const own = given.slice(row * 5, row * 5 + 5);
      const ofLeft = [...byLeft.slice(row * 2, row * 2 + 2), absent, absent, absent];
      const ofRight = [absent, absent, ...byRight.slice(row * 3, row * 3 + 3)];
      expect(isClose(own, ofLeft) || isClose(own, ofRight), `${own.join()} of text ${row}`).toBe(true);
    });
  });

  it('a masked language model that scores every place loses as one that scores the asked places', async () => {
    const windows = await textWindows(
      base,
      TEXTS.map((text, at) => ({ text, doc: String(at), line: at + 1 })),
      8,
    );
    const measure = async (model: OnnxModel) => {
      const opened = await openMaskedLm(await written({ task: 'fill-mask' }, model), base, requireMask(base));
      const measured = await measureMaskedLm(opened, windows);
      await opened.release();
      return measured;
    };
    const [every, asked] = [await measure(masked('every place')), await measure(masked('asked places'))];
    expect(every.pieces).toBeGreaterThan(8);
    expect(every.pieces).toBe(asked.pieces);
    expect(every.loss).toBeCloseTo(asked.loss, 5);
  });

  it.each<[string, () => Parameters<typeof written>, string, RegExp]>([
    [
      'several labels for a text',
      () => [{ ...classifies, problemType: 'multi_label_classification' }, classifier()],
      'METHOD_UNSUPPORTED',
      /own may give a text several labels.*Name an expert that chooses one/,
    ],
    [
      'an input that texts have no values for',
      () => [classifies, classifier(['input_ids', 'attention_mask', 'pixels'])],
      'GRAPH_INVALID',
      /own: its graph needs the input pixels.*export it again/,
    ],
    [
      'another task',
      () => [{ task: 'feature-extraction' }, classifier()],
      'METHOD_UNSUPPORTED',
      /own is full for feature-extraction/,
    ],
  ])('refuses %s', async (_, given, code, message) => {
    await expect(answers(await written(...given()))).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  });

  it('refuses a masked language model of another tokenizer, whose word pieces would not compare', async () => {
    const other = Buffer.concat([picoTokenizer(), Buffer.from('\n')]);
    const expert = await written({ task: 'fill-mask' }, masked('every place'), { 'tokenizer.json': other });
    await expect(openMaskedLm(expert, base, requireMask(base))).rejects.toMatchObject({
      code: 'METHOD_UNSUPPORTED',
      message: expect.stringMatching(
        /own reads texts by another tokenizer\.json than pico.*--base/,
      ) as string,
    });
  });
});
