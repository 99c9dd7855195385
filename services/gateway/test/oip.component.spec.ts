import { RPC_METADATA } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { GatewayUnderTest, KEYS, ROLE_KEYS } from './support/gateway-under-test.js';

let gateway: GatewayUnderTest;
let oip: ReturnType<GatewayUnderTest['oip']>;
beforeAll(async () => {
  gateway = await GatewayUnderTest.start();
  oip = gateway.oip();
});
afterAll(async () => {
  oip.close();
  await gateway.stop();
});
beforeEach(() => {
  gateway.router.reset();
  gateway.host.reset();
});

const metadata = { authorization: `Bearer ${KEYS.acme.key}` };
const operator = { authorization: `Bearer ${ROLE_KEYS.operator.minted.key}` };
const bytes = (...texts: string[]) => texts.map((text) => new TextEncoder().encode(text));
const textInput = (...texts: string[]) => [
  {
    name: 'text',
    datatype: 'BYTES',
    shape: [BigInt(texts.length)],
    contents: { bytesContents: bytes(...texts) },
  },
];
const stringParameter = (value: string) => ({ parameterChoice: { case: 'stringParam' as const, value } });
const faultOf = async (work: Promise<unknown>): Promise<ThalamusError> => {
  try {
    await work;
  } catch (fault) {
    if (ThalamusError.is(fault)) return fault;
    throw fault;
  }
  throw new Error('the call succeeded');
};

describe('the Open Inference Protocol at the front door', () => {
  it('auto answers label, score and expert for each text', async () => {
    const answer = await oip.modelInfer(
      { id: 'o-1', modelName: 'auto', inputs: textInput('a', 'b') },
      { metadata },
    );
    expect(answer).toMatchObject({ id: 'o-1', modelName: 'auto' });
    expect(answer.outputs.map(({ name, datatype, shape }) => [name, datatype, shape])).toEqual([
      ['label', 'BYTES', [2n]],
      ['score', 'FP32', [2n]],
      ['expert', 'BYTES', [2n]],
    ]);
    const [label, score, expert] = answer.outputs;
    const texts = (output: typeof label) =>
      output?.contents?.bytesContents.map((value) => Buffer.from(value).toString());
    expect(texts(label)).toEqual(['card_lost', 'card_lost']);
    expect(score?.contents?.fp32Contents).toEqual([0.75, 0.75]);
    expect(texts(expert)).toEqual(['banking@2', 'banking@2']);
  });

  it('repeats an id of any form, and passes on one of its own where that form cannot go', async () => {
    const id = 'ü\n'.repeat(100_000);
    for (const modelName of ['auto', 'banking']) {
      const answer = await oip.modelInfer({ id, modelName, inputs: textInput('a') }, { metadata });
      expect(answer.id).toBe(id);
    }
    expect(gateway.router.requests[0]?.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('auto answers raw contents to who sends raw contents', async () => {
    const raw = Buffer.concat([Buffer.from([2, 0, 0, 0]), Buffer.from('hi')]);
    const inputs = [{ name: 'text', datatype: 'BYTES', shape: [1n] }];
    const answer = await oip.modelInfer({ modelName: 'auto', inputs, rawInputContents: [raw] }, { metadata });
    expect(answer.outputs.map(({ name, contents }) => [name, contents])).toEqual([
      ['label', undefined],
      ['score', undefined],
      ['expert', undefined],
    ]);
    const [label, score, expert] = answer.rawOutputContents.map((bytes) => Buffer.from(bytes));
    expect(label?.readUInt32LE(0)).toBe('card_lost'.length);
    expect(label?.subarray(4).toString()).toBe('card_lost');
    expect(score?.readFloatLE(0)).toBe(0.75);
    expect(expert?.subarray(4).toString()).toBe('banking@2');
  });

  it('auto takes raw texts, its task and its flags', async () => {
    const raw = Buffer.concat([Buffer.from([2, 0, 0, 0]), Buffer.from('hi'), Buffer.from([0, 0, 0, 0])]);
    const fault = await faultOf(
      oip.modelInfer(
        {
          modelName: 'auto',
          inputs: [{ name: 'text', datatype: 'BYTES', shape: [3n] }],
          rawInputContents: [raw],
        },
        { metadata },
      ),
    );
    expect(fault.message).toContain('holds 2 texts, but its shape says 3');
    await oip.modelInfer(
      {
        modelName: 'auto:size=1,cost=2',
        inputs: [{ name: 'text', datatype: 'BYTES', shape: [1n] }],
        rawInputContents: [raw.subarray(0, 6)],
        parameters: { task: stringParameter('text-classification'), flags: stringParameter('size=0.5') },
      },
      { metadata },
    );
    expect(gateway.router.requests[0]).toMatchObject({ prompt: 'hi' });
    expect(gateway.router.requests[0]?.flags.map(({ name, form }) => [name, form.value])).toEqual([
      ['size', 0.5],
      ['cost', 2],
    ]);
  });

  it('tells the host whose request it is: its queues are fair between tenants', async () => {
    const tenants: string[] = [];
    const { answer } = gateway.host;
    gateway.host.answer = (request, context) => {
      tenants.push(context.tenant);
      return answer(request, context);
    };
    await oip.modelInfer({ modelName: 'banking', inputs: textInput('a') }, { metadata });
    // A caller cannot name another tenant than that of its key.
    const forged = { ...metadata, [RPC_METADATA.tenant]: 'other' };
    await oip.modelInfer({ modelName: 'banking', inputs: textInput('a') }, { metadata: forged });
    expect(tenants).toEqual(['acme', 'acme']);
  });

  it('passes tensors of a named model on, in its stable or a pinned version', async () => {
    const inputs = [{ name: 'input_ids', datatype: 'INT64', shape: [1n, 2n] }];
    const rawInputContents = [new Uint8Array(16).fill(1)];
    await oip.modelInfer({ modelName: 'banking', inputs, rawInputContents }, { metadata });
    await oip.modelInfer({ modelName: 'banking', modelVersion: '1', inputs, rawInputContents }, { metadata });
    expect(gateway.host.requests.map(({ modelName, modelVersion }) => [modelName, modelVersion])).toEqual([
      ['banking', '2'],
      ['banking', '1'],
    ]);
    expect(gateway.host.requests[0]?.inputs[0]).toMatchObject({ name: 'input_ids', shape: [1n, 2n] });
    expect([...(gateway.host.requests[0]?.rawInputContents[0] ?? [])]).toEqual(Array(16).fill(1));
    expect(gateway.router.requests).toEqual([]);
  });

  it('a failed request of a stream is a message of it, and the next is answered', async () => {
    const requests = async function* () {
      yield await Promise.resolve({ id: 's-1', modelName: 'auto', inputs: textInput('a') });
      yield { id: 's-2', modelName: 'nobody', inputs: textInput('a') };
      yield { id: 's-3', modelName: 'clinic', inputs: textInput('a') };
    };
    const seen: string[][] = [];
    for await (const { errorMessage, inferResponse } of oip.modelStreamInfer(requests(), { metadata }))
      seen.push([inferResponse?.id ?? '', errorMessage.split(':')[0] ?? '']);
    expect(seen).toEqual([
      ['s-1', ''],
      ['s-2', 'EXPERT_NOT_FOUND'],
      ['s-3', ''],
    ]);
  });

  it('describes itself, its models and whether they are ready', async () => {
    expect(await oip.serverLive({})).toMatchObject({ live: true });
    expect(await oip.serverReady({})).toMatchObject({ ready: true });
    expect((await oip.modelReady({ name: 'auto' }, { metadata })).ready).toBe(true);
    expect((await oip.modelReady({ name: 'banking' }, { metadata })).ready).toBe(true);
    expect((await oip.modelReady({ name: 'cold' }, { metadata })).ready).toBe(false);
    const version = { expert: 'clinic', version: '7', task: 'text-classification', licence: 'Apache-2.0' };
    await gateway.register('version/clinic@7', { case: 'version', value: version });
    const unserved = { name: 'clinic', version: '7' };
    await expect
      .poll(() => oip.modelReady(unserved, { metadata }).then(({ ready: is }) => is, String), {
        timeout: 10_000,
      })
      .toBe(false);
    const auto = await oip.modelMetadata({ name: 'auto' }, { metadata });
    expect(auto.outputs.map(({ name }) => name)).toEqual(['label', 'score', 'expert']);
    expect((await oip.modelMetadata({ name: 'banking' }, { metadata })).versions).toEqual(['2']);
    const { models } = await oip.repositoryIndex({}, { metadata });
    expect(models.map(({ name, version, state }) => `${name}@${version} ${state}`)).toEqual([
      'auto@ READY',
      'banking@2 READY',
      'base@1 READY',
      'clinic@1 READY',
      'cold@1 UNAVAILABLE',
    ]);
    const ready = await oip.repositoryIndex({ ready: true }, { metadata });
    expect(ready.models.map(({ name }) => name)).toEqual(['auto', 'banking', 'base', 'clinic']);
  });

  const auto = (request: Parameters<typeof oip.modelInfer>[0]) =>
    oip.modelInfer({ modelName: 'auto', inputs: textInput('x'), ...request }, { metadata });
  const input = (extra: object) => ({ inputs: [{ ...textInput('x')[0], ...extra }] });
  it.each([
    ['no key', () => oip.modelInfer({ modelName: 'auto', inputs: textInput('x') }), 'KEY_INVALID', ''],
    ['an unknown model', () => auto({ modelName: 'nobody' }), 'EXPERT_NOT_FOUND', 'nobody'],
    [
      'an unknown version',
      () => auto({ modelName: 'banking', modelVersion: '9' }),
      'EXPERT_NOT_FOUND',
      'no version 9; the stable one is 2',
    ],
    ['a version of auto', () => auto({ modelVersion: '1' }), 'REQUEST_INVALID', 'model_version'],
    [
      'an unknown parameter',
      () => auto({ parameters: { sequence_id: stringParameter('x') } }),
      'REQUEST_INVALID',
      'sequence_id',
    ],
    [
      'an unknown task',
      () => auto({ parameters: { task: stringParameter('sing') } }),
      'REQUEST_INVALID',
      'parameters.task',
    ],
    [
      'a task that auto does not answer',
      () => auto({ parameters: { task: stringParameter('fill-mask') } }),
      'ROUTER_MODEL_NOT_FOUND',
      'fill-mask',
    ],
    [
      'a flag twice',
      () => auto({ parameters: { flags: stringParameter('size=1,size=2') } }),
      'FLAG_INVALID',
      'size',
    ],
    [
      'a flag in the wrong type',
      () => auto({ parameters: { flags: { parameterChoice: { case: 'boolParam', value: true } } } }),
      'REQUEST_INVALID',
      'parameters.flags',
    ],
    ['an unknown flag in the model name', () => auto({ modelName: 'auto:speed=1' }), 'FLAG_INVALID', 'speed'],
    ['no input', () => auto({ inputs: [] }), 'TENSOR_INVALID', 'text'],
    ['another input', () => auto(input({ name: 'input_ids' })), 'TENSOR_INVALID', 'text'],
    [
      'a second input',
      () => auto({ inputs: [...textInput('x'), ...textInput('x')] }),
      'TENSOR_INVALID',
      'text',
    ],
    ['a wrong datatype', () => auto(input({ datatype: 'FP32' })), 'TENSOR_INVALID', 'FP32'],
    ['a wrong rank', () => auto(input({ shape: [1n, 1n] })), 'TENSOR_INVALID', '2 dimensions'],
    ['a shape that does not fit', () => auto(input({ shape: [2n] })), 'TENSOR_INVALID', 'its shape says 2'],
    ['a negative shape', () => auto(input({ shape: [-1n] })), 'TENSOR_INVALID', '-1 texts'],
    ['a huge shape', () => auto(input({ shape: [2n ** 62n] })), 'TENSOR_INVALID', '1 to 256'],
    [
      'a text that is not UTF-8',
      () => auto(input({ contents: { bytesContents: [Uint8Array.of(0xff)] } })),
      'TENSOR_INVALID',
      'not UTF-8',
    ],
    [
      'raw content that is cut off',
      () => auto({ ...input({ contents: undefined }), rawInputContents: [Uint8Array.of(9, 0, 0, 0, 1)] }),
      'TENSOR_INVALID',
      'cut off',
    ],
    [
      'contents in both forms',
      () => auto({ rawInputContents: [Uint8Array.of(0, 0, 0, 0)] }),
      'TENSOR_INVALID',
      'both',
    ],
    ['an empty text', () => auto({ inputs: textInput(' ') }), 'REQUEST_INVALID', 'text'],
    [
      'a load',
      () => oip.repositoryModelLoad({ modelName: 'banking' }, { metadata: operator }),
      'METHOD_UNSUPPORTED',
      'loads no models',
    ],
  ] as const)('%s is refused', async (_name, call, code, says) => {
    const fault = await faultOf(call());
    expect(fault.code).toBe(code);
    expect(fault.message).toContain(says);
    expect([gateway.router.requests.length, gateway.host.requests.length]).toEqual([0, 0]);
  });

  it('hands on what a host refuses, with its code and its fields', async () => {
    gateway.host.answer = () =>
      Promise.reject(
        new ThalamusError('TENSOR_INVALID', 'Input input_ids: has the datatype FP32, not INT64.', {
          violations: [{ field: 'input_ids', description: 'has the datatype FP32, not INT64' }],
        }),
      );
    const fault = await faultOf(oip.modelInfer({ modelName: 'banking' }, { metadata }));
    expect(fault).toMatchObject({ code: 'TENSOR_INVALID', violations: [{ field: 'input_ids' }] });
  });
});
