import { GraphBuilder, type OnnxModel } from '@thalamus/onnx-graph';
import { writePicoGraph } from '@thalamus/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask, Host, refusalOf, Registry, textInput, valuesOf } from './host-harness.js';

let registry: Registry;
let host: Host;

beforeAll(async () => {
  registry = await Registry.open();
  await registry.addAll();
  await writePicoGraph(registry.path('same'), { name: 'same' }, sameGraph());
  await writePicoGraph(registry.path('divide'), { name: 'divide' }, divideGraph());
  await registry.add('same');
  await registry.add('divide');
  host = await Host.start(registry, { THALAMUS_CHILD_MEMORY_LIMIT: String(2 ** 30) });
  await host.until('divide', '1', 'ready');
});
afterAll(async () => {
  await host.stop();
  await registry.close();
});

/** y = a / b of int32: the processor faults on -2^31 / -1, which has no answer; ONNX Runtime looks for zeros alone. */
function divideGraph(): OnnxModel {
  const builder = new GraphBuilder();
  const a = builder.input('a', 'int32', ['n']);
  const b = builder.input('b', 'int32', ['n']);
  builder.output(builder.node('Div', [a, b], { name: 'y' }), 'int32', ['n']);
  return builder.build({ name: 'divide' });
}

/** y = x of int32 and one dimension. */
function sameGraph(): OnnxModel {
  const builder = new GraphBuilder();
  const x = builder.input('x', 'int32', ['n']);
  builder.output(builder.node('Identity', [x], { name: 'y' }), 'int32', ['n']);
  return builder.build({ name: 'same' });
}

const infer = (modelName: string, ...inputs: object[]) =>
  host.client.modelInfer({ modelName, modelVersion: '1', inputs });

const ints = (name: string, ...intContents: number[]) => ({
  name,
  datatype: 'INT32',
  shape: [BigInt(intContents.length)],
  contents: { intContents },
});

const quotient = async (a: number, b: number) => {
  const { rawOutputContents } = await infer('divide', ints('a', a), ints('b', b));
  return [...new Int32Array(new Uint8Array(rawOutputContents[0]!).buffer)];
};

describe('a shape that lies', () => {
  const huge = 2n ** 22n;
  it.each<[string, bigint[], string]>([
    ['whose product is 2^64, which wraps around to zero', [huge, huge, 2n ** 20n], 'at most'],
    ['whose product is beyond every number', Array<bigint>(60).fill(huge), 'at most'],
    ['of sizes beyond every number and none', [...Array<bigint>(60).fill(huge), 0n], 'at most'],
    ['of the largest number there is', [2n ** 63n - 1n], 'impossible size'],
    ['of a hundred thousand dimensions', Array<bigint>(100_000).fill(1n), 'dimensions'],
  ])('%s is refused in few words, and the next request is served', async (_, shape, says) => {
    const contents = { intContents: [1] };
    for (const input of [
      { name: 'x', datatype: 'INT32', shape, contents },
      { name: 'x', datatype: 'INT32', shape },
    ]) {
      const refusal = await refusalOf(infer('same', input));
      expect(refusal).toMatchObject({ code: 'TENSOR_INVALID', grpc: 'INVALID_ARGUMENT', fields: ['x'] });
      expect(refusal.message).toContain(says);
      expect(refusal.message.length).toBeLessThan(400);
    }
    const text = await refusalOf(infer('animals', { ...textInput('hello'), shape }));
    expect(text).toMatchObject({ code: 'TENSOR_INVALID', fields: ['text'] });
    expect(text.message.length).toBeLessThan(400);
    expect((await infer('same', ints('x', 7))).outputs.length).toBe(1);
  });
});

describe('a datatype that nobody knows', () => {
  it.each([
    ['empty', ''],
    ['int32', 'int32'],
    ['INT7', 'INT7'],
    ['STRING', 'STRING'],
    ['constructor', 'constructor'],
    ['__proto__', '__proto__'],
    ['of a hundred thousand letters', 'X'.repeat(100_000)],
  ])('%s is refused by name, in few words', async (_, datatype) => {
    const refusal = await refusalOf(infer('same', { ...ints('x', 1), datatype }));
    expect(refusal).toMatchObject({ code: 'TENSOR_INVALID', grpc: 'INVALID_ARGUMENT', fields: ['x'] });
    expect(refusal.message).toContain('unknown datatype');
    expect(refusal.message.length).toBeLessThan(400);
  });
});

describe('names that are as long as a message may be', () => {
  const long = 'x'.repeat(200_000);
  it.each<[string, () => Promise<unknown>]>([
    ['of an input', () => infer('same', { ...ints(long, 1) })],
    ['of an input of a text expert', () => infer('animals', { ...textInput('hello'), name: long })],
    ['of a model', () => infer(long, ints('x', 1))],
  ])('%s are refused in few words', async (_, asked) => {
    const refusal = await refusalOf(asked());
    expect(['TENSOR_INVALID', 'EXPERT_NOT_FOUND']).toContain(refusal.code);
    expect(refusal.message.length).toBeLessThan(1_100);
  });
});

describe('BYTES that do not parse', () => {
  it.each<[string, Uint8Array, bigint]>([
    ['a length of 4 GiB', Uint8Array.of(255, 255, 255, 255, 65), 1n],
    ['a length that is cut off', Uint8Array.of(1, 0, 0), 1n],
    ['bytes behind the last element', Uint8Array.of(1, 0, 0, 0, 65, 9), 1n],
    ['four million elements by the shape, one by the bytes', Uint8Array.of(1, 0, 0, 0, 65), 4_000_000n],
    ['an element that is no UTF-8', Uint8Array.of(1, 0, 0, 0, 255), 1n],
  ])('%s', async (_, raw, count) => {
    const refusal = await refusalOf(
      host.client.modelInfer({
        modelName: 'animals',
        modelVersion: '1',
        inputs: [{ name: 'text', datatype: 'BYTES', shape: [count] }],
        rawInputContents: [raw],
      }),
    );
    expect(refusal).toMatchObject({ code: 'TENSOR_INVALID', grpc: 'INVALID_ARGUMENT', fields: ['text'] });
  });
});

describe('prompts that are too large', () => {
  it('are cut or refused one by one and together, and the next is answered', async () => {
    const largest = 'hello '.repeat(174_000);
    const answer = await ask(host, 'animals', [largest]);
    expect(answer.parameters['truncated']?.parameterChoice.value).toBe(true);
    const many = Array.from({ length: 20 }, () => largest);
    expect(await refusalOf(ask(host, 'animals', many))).toMatchObject({ code: 'REQUEST_TOO_LARGE' });
    expect((await ask(host, 'animals', ['hello'])).outputs.length).toBe(3);
  });
});

describe('a graph that brings its process down', () => {
  it('by a fault of the processor fails alone, and answers the next who asks for what it can', async () => {
    expect(await quotient(42, 6)).toEqual([7]);
    const expected = valuesOf(await ask(host, 'animals', ['hello']), 'scores');
    const [pico, divide] = [host.childPid('pico'), host.childPid('divide')];
    const neighbours = Array.from({ length: 20 }, () => ask(host, 'animals', ['hello']));
    expect(await refusalOf(quotient(-(2 ** 31), -1))).toMatchObject({
      code: 'EXPERT_CRASHED',
      grpc: 'UNAVAILABLE',
    });
    for (const answer of await Promise.all(neighbours)) expect(valuesOf(answer, 'scores')).toEqual(expected);
    expect(await quotient(42, 7)).toEqual([6]);
    expect(host.childPid('divide')).not.toBe(divide);
    expect(host.childPid('pico')).toBe(pico);
  });

  it('by memory without end is refused, and its neighbours are not touched', async () => {
    const product = (side: number) => {
      const int64Contents = [BigInt(side), BigInt(side)];
      return infer('slow', { name: 'side', datatype: 'INT64', shape: [2n], contents: { int64Contents } });
    };
    const pico = host.childPid('pico');
    for (const side of [20_000, 60_000, 200_000]) {
      const refusal = await refusalOf(product(side));
      expect(['INFERENCE_FAILED', 'EXPERT_CRASHED']).toContain(refusal.code);
      expect((await ask(host, 'animals', ['hello'])).outputs.length).toBe(3);
    }
    expect(valuesOf(await product(8), 'sum')).toEqual([8 ** 3]);
    expect(host.childPid('pico')).toBe(pico);
  });
});
