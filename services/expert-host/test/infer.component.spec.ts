import { picoHead } from '@thalamus/testing';
import { softmax } from '@thalamus/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask, Host, PROBES, rawTexts, refusalOf, Registry, textInput, valuesOf } from './host-harness.js';

let registry: Registry;
let host: Host;

beforeAll(async () => {
  registry = await Registry.open();
  await registry.addAll();
  host = await Host.start(registry);
});
afterAll(async () => {
  await host.stop();
  await registry.close();
});

const infer = (request: Parameters<Host['client']['modelInfer']>[0]) => host.client.modelInfer(request);

/** A request to the probe `animals` that is changed in one place. */
const changed = (change: Record<string, unknown>, input: Record<string, unknown> = {}) =>
  infer({
    modelName: 'animals',
    modelVersion: '1',
    inputs: [{ ...textInput('hello world'), ...input }],
    ...change,
  });

const largestDifference = (a: readonly (number | string)[], b: readonly (number | string)[]) => {
  expect(a.length).toBe(b.length);
  return Math.max(...a.map((value, i) => Math.abs(Number(value) - Number(b[i]))));
};

const TEXTS = ['hello world', 'I lost my card, please block it', 'the court', 'money money money', 'x'];

describe('ModelInfer on a probe', () => {
  it('answers label, score and scores for each text, with the labels beside them', async () => {
    const answer = await ask(host, 'animals', TEXTS);
    expect(answer.outputs.map(({ name, datatype, shape }) => [name, datatype, shape.map(Number)])).toEqual([
      ['label', 'BYTES', [5]],
      ['score', 'FP32', [5]],
      ['scores', 'FP32', [5, 3]],
    ]);
    const parameter = answer.outputs[2]!.parameters['labels']!.parameterChoice;
    expect(parameter.case === 'stringParam' && JSON.parse(parameter.value)).toEqual(PROBES.animals.labels);
    const scores = valuesOf(answer, 'scores').map(Number);
    valuesOf(answer, 'label').forEach((label, row) => {
      const own = scores.slice(row * 3, row * 3 + 3);
      expect(own.reduce((sum, score) => sum + score, 0)).toBeCloseTo(1, 5);
      expect(label).toBe(PROBES.animals.labels[own.indexOf(Math.max(...own))]);
      expect(valuesOf(answer, 'score')[row]).toBe(Math.max(...own));
    });
    expect(answer).toMatchObject({ modelName: 'animals', modelVersion: '1' });
    expect(answer.parameters['truncated']!.parameterChoice).toEqual({ case: 'boolParam', value: false });
  });

  it('answers raw contents and shape [n, 1] as it answers typed ones', async () => {
    const typed = await ask(host, 'animals', TEXTS);
    const input = { name: 'text', datatype: 'BYTES', shape: [5n, 1n] };
    const raw = await infer({
      modelName: 'animals',
      modelVersion: '1',
      id: 'request-7',
      inputs: [input],
      rawInputContents: [rawTexts(...TEXTS)],
    });
    expect(raw.id).toBe('request-7');
    expect(valuesOf(raw, 'label')).toEqual(valuesOf(typed, 'label'));
    expect(largestDifference(valuesOf(raw, 'scores'), valuesOf(typed, 'scores'))).toBeLessThan(1e-5);
  });

  it('gives only the outputs that were asked for', async () => {
    const answer = await changed({ outputs: [{ name: 'score' }] });
    expect(answer.outputs.map(({ name }) => name)).toEqual(['score']);
    expect(answer.rawOutputContents.length).toBe(1);
  });

  it('applies each head as if it stood alone', async () => {
    const embedded = await ask(host, 'pico', TEXTS);
    const embeddings = valuesOf(embedded, 'embedding').map(Number);
    for (const [name, { labels, seed }] of Object.entries(PROBES)) {
      const { weights, bias } = picoHead(labels.length, seed);
      const expected = TEXTS.flatMap((_, row) => {
        const vector = embeddings.slice(row * 16, row * 16 + 16);
        const logits = labels.map(
          (_label, label) =>
            bias[label]! + vector.reduce((sum, value, j) => sum + value * weights[label * 16 + j]!, 0),
        );
        return [...softmax(logits)];
      });
      expect(largestDifference(valuesOf(await ask(host, name, TEXTS), 'scores'), expected)).toBeLessThan(
        1e-5,
      );
    }
  });

  it('gives a mixed batch of all experts the answers that each gets alone', async () => {
    const questions = Array.from({ length: 48 }, (_, i) => ({
      expert: Object.keys(PROBES)[i % 3]!,
      text: `${TEXTS[i % 5]!} ${'please '.repeat(i % 7)}`,
    }));
    const alone: (number | string)[][] = [];
    for (const { expert, text } of questions) alone.push(valuesOf(await ask(host, expert, [text]), 'scores'));
    const together = await Promise.all(questions.map(({ expert, text }) => ask(host, expert, [text])));
    together.forEach((answer, i) => {
      expect(largestDifference(valuesOf(answer, 'scores'), alone[i]!)).toBeLessThan(1e-5);
    });
    const sizes = together.map(({ parameters }) => {
      const size = parameters['batch_size']!.parameterChoice;
      return size.case === 'int64Param' ? Number(size.value) : 0;
    });
    expect(Math.max(...sizes)).toBeGreaterThan(1);
  });

  it('answers a megabyte, an emoji and a NUL, and says what it cut', async () => {
    const long = 'hello world '.repeat(87_000);
    const answer = await ask(host, 'animals', [long]);
    expect(answer.parameters['truncated']!.parameterChoice).toEqual({ case: 'boolParam', value: true });
    expect(answer.parameters['prompt_tokens']!.parameterChoice).toEqual({ case: 'int64Param', value: 32n });
    const odd = await ask(host, 'animals', ['🙂', 'a\u0000b', '\ufeffhello']);
    expect(valuesOf(odd, 'label').length).toBe(3);
  });
});

describe('ModelInfer on raw graphs', () => {
  const rows = (contents: Record<string, unknown>, rawInputContents: Uint8Array[] = []) =>
    infer({
      modelName: 'linear',
      modelVersion: '1',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [2n, 2n], ...contents }],
      rawInputContents,
    });

  it('answers typed and raw tensors', async () => {
    const expected = [2, 3, 4, 15, 20, 25];
    const typed = await rows({ contents: { fp32Contents: [1, 0, 2, 3] } });
    expect(valuesOf(typed, 'y')).toEqual(expected);
    const raw = new Uint8Array(new Float32Array([1, 0, 2, 3]).buffer);
    expect(valuesOf(await rows({}, [raw]), 'y')).toEqual(expected);
  });

  it.each([
    ['a wrong shape', { shape: [4n], contents: { fp32Contents: [1, 0, 2, 3] } }, /shape \[batch, 2\]/],
    ['another datatype', { datatype: 'FP64', contents: { fp64Contents: [1, 0, 2, 3] } }, /must be float32/],
    ['too few elements', { contents: { fp32Contents: [1] } }, /has 1 elements, but its shape needs 4/],
    ['no contents', {}, /has 0 elements/],
    ['a negative size', { shape: [-1n, 2n] }, /impossible size -1/],
    ['a size of 2^60', { shape: [2n ** 60n, 2n] }, /impossible size/],
    ['sizes that multiply to too many', { shape: [2n ** 20n, 2n ** 20n] }, /at most/],
    ['an unknown datatype', { datatype: 'FP8' }, /unknown datatype "FP8"/],
    ['typed contents of a datatype that has none', { datatype: 'BF16' }, /must be sent raw/],
    [
      'a narrow number that is too large',
      { datatype: 'INT8', contents: { intContents: [1, 2, 3, 300] } },
      /300, which is no INT8/,
    ],
  ])('refuses %s, naming the input', async (_, contents, message) => {
    const refusal = await refusalOf(rows(contents));
    expect(refusal).toMatchObject({ code: 'TENSOR_INVALID', grpc: 'INVALID_ARGUMENT', fields: ['x'] });
    expect(refusal.message).toMatch(message);
  });
});

describe('what is refused', () => {
  it.each([
    ['an unknown expert', { modelName: 'nobody' }, 'EXPERT_NOT_FOUND', 'NOT_FOUND'],
    ['an unknown version', { modelVersion: '9' }, 'EXPERT_NOT_FOUND', 'NOT_FOUND'],
    ['no name', { modelName: '' }, 'EXPERT_NOT_FOUND', 'NOT_FOUND'],
    ['no input', { inputs: [] }, 'TENSOR_INVALID', 'INVALID_ARGUMENT'],
  ])('%s', async (_, change, code, grpc) => {
    expect(await refusalOf(changed(change))).toMatchObject({ code, grpc });
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>, string[]]>([
    [
      'an output that is asked for twice',
      { outputs: [{ name: 'score' }, { name: 'score' }] },
      {},
      ['outputs'],
    ],
    ['an unknown output', { outputs: [{ name: 'logits' }] }, {}, ['outputs']],
    ['an unknown parameter', { parameters: { temperature: {} } }, {}, ['parameters.temperature']],
    [
      'a parameter of an input',
      {},
      { parameters: { shared_memory_region: {} } },
      ['inputs.text.parameters.shared_memory_region'],
    ],
    ['an input of another name', {}, { name: 'prompt' }, ['prompt']],
    ['an input without a name', {}, { name: '' }, ['inputs[0].name']],
    ['another datatype', {}, { datatype: 'FP32', contents: { fp32Contents: [1] } }, ['text']],
    ['a shape that does not fit', {}, { shape: [2n] }, ['text']],
    ['a shape of three dimensions', {}, { shape: [1n, 1n, 1n] }, ['text']],
    ['a scalar', {}, { shape: [] }, ['text']],
    ['no text at all', {}, { shape: [0n], contents: { bytesContents: [] } }, ['text']],
    ['the same input twice', { inputs: [textInput('a'), textInput('b')] }, {}, ['text']],
    ['raw beside typed contents', { rawInputContents: [rawTexts('a')] }, {}, ['text']],
    [
      'more raw contents than inputs',
      { rawInputContents: [rawTexts('a'), rawTexts('b')] },
      {},
      ['raw_input_contents'],
    ],
    [
      'a raw length that is cut',
      { rawInputContents: [Uint8Array.of(1, 0)] },
      { contents: undefined },
      ['text'],
    ],
    [
      'a raw length that lies',
      { rawInputContents: [Uint8Array.of(9, 0, 0, 0, 65)] },
      { contents: undefined },
      ['text'],
    ],
  ])('%s, naming the field', async (_, change, input, fields) => {
    expect(await refusalOf(changed(change, input))).toMatchObject({ grpc: 'INVALID_ARGUMENT', fields });
  });

  it.each([
    ['an empty text', ''],
    ['a blank text', ' \t\n'],
    ['bytes that are no UTF-8', Uint8Array.of(0x68, 0xff, 0x69)],
    ['half of a surrogate pair', Uint8Array.of(0xed, 0xa0, 0x80)],
  ])('%s, without repeating it', async (_, text) => {
    const refusal = await refusalOf(ask(host, 'animals', ['fine', text]));
    expect(refusal).toMatchObject({ code: 'TENSOR_INVALID', fields: ['text'] });
    expect(refusal.message).toMatch(/element 1 is (empty|not UTF-8)/);
  });

  it('more texts than a request may have, and a longer text than is taken', async () => {
    const many = Array.from({ length: 257 }, () => 'hello');
    expect(await refusalOf(ask(host, 'animals', many))).toMatchObject({
      code: 'TENSOR_INVALID',
      fields: ['text'],
    });
    const refusal = await refusalOf(ask(host, 'animals', ['x'.repeat(1_048_577)]));
    expect(refusal).toMatchObject({ code: 'REQUEST_TOO_LARGE', grpc: 'INVALID_ARGUMENT' });
  });

  it('a message above the limit, and serves the next one', async () => {
    const refusal = await refusalOf(ask(host, 'animals', ['x'.repeat(17 * 2 ** 20)]));
    expect(refusal).toMatchObject({ code: 'REQUEST_TOO_LARGE', grpc: 'INVALID_ARGUMENT' });
    expect((await ask(host, 'animals', ['hello'])).outputs.length).toBe(3);
  });
});

describe('callers that do not wait', () => {
  it('get CANCELLED or DEADLINE_EXCEEDED, and the others their answers', async () => {
    const aborter = new AbortController();
    const cancelled = refusalOf(ask(host, 'animals', ['hello'], { signal: aborter.signal }));
    aborter.abort();
    expect((await cancelled).code).toBe('CANCELLED');
    expect((await refusalOf(ask(host, 'animals', ['hello'], { deadlineMs: 0 }))).code).toBe(
      'DEADLINE_EXCEEDED',
    );
    const side = {
      name: 'side',
      datatype: 'INT64',
      shape: [2n],
      contents: { int64Contents: [2_000n, 2_000n] },
    };
    const slow = host.client.modelInfer(
      { modelName: 'slow', modelVersion: '1', inputs: [side] },
      { deadlineMs: 30 },
    );
    const waits = ask(host, 'animals', ['hello']);
    expect((await refusalOf(slow)).code).toBe('DEADLINE_EXCEEDED');
    expect((await waits).outputs.length).toBe(3);
  });
});

describe('ModelStreamInfer', () => {
  it('answers each message, and goes on after one that failed', async () => {
    async function* requests() {
      for (const [id, modelVersion] of [
        ['1', '1'],
        ['2', '9'],
        ['3', '1'],
      ] as const)
        yield await Promise.resolve({ id, modelName: 'animals', modelVersion, inputs: [textInput('hello')] });
    }
    const answers: [string, string][] = [];
    for await (const { errorMessage, inferResponse } of host.client.modelStreamInfer(requests()))
      answers.push([inferResponse?.id ?? '', errorMessage.split(':')[0]!]);
    expect(answers).toEqual([
      ['1', ''],
      ['2', 'EXPERT_NOT_FOUND'],
      ['3', ''],
    ]);
  });
});
