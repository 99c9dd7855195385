import { writePicoBase } from '@thalamus/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Host, refusalOf, Registry, textInput } from './host-harness.js';
import { addIdentities, DATATYPES } from './identity-graphs.js';

let registry: Registry;
let host: Host;

beforeAll(async () => {
  registry = await Registry.open();
  await addIdentities(registry);
  await writePicoBase(registry.path('pico'), { name: 'pico' });
  await registry.add('pico');
  host = await Host.start(registry);
});
afterAll(async () => {
  await host.stop(0);
  await registry.close();
});

describe.each(Object.entries(DATATYPES))('a tensor of %s', (datatype, { contents, raw }) => {
  const modelName = `same-${datatype.toLowerCase()}`;
  const input = { name: 'x', datatype, shape: [2n] };

  it('comes back as it went, raw, and typed where the protocol has a field for it', async () => {
    const requests = [{ inputs: [input], rawInputContents: [raw] }];
    const answers = [await host.client.modelInfer({ modelName, ...requests[0] })];
    if (contents) answers.push(await host.client.modelInfer({ modelName, inputs: [{ ...input, contents }] }));
    for (const { outputs, rawOutputContents } of answers) {
      expect(outputs).toMatchObject([{ name: 'y', datatype, shape: [2n] }]);
      expect([...(rawOutputContents[0] ?? [])]).toEqual([...raw]);
    }
    const { inputs, outputs } = await host.client.modelMetadata({ name: modelName });
    expect([inputs[0]?.datatype, outputs[0]?.datatype]).toEqual([datatype, datatype]);
    const { config } = await host.client.modelConfig({ name: modelName });
    expect(config?.input[0]).toMatchObject({ name: 'x', dims: [-1n] });
    expect(config?.input[0]?.dataType).toBeGreaterThan(0);
  });

  it('is refused with a byte too few, naming the input', async () => {
    const rawInputContents = [raw.slice(0, -1)];
    const refusal = await refusalOf(host.client.modelInfer({ modelName, inputs: [input], rawInputContents }));
    expect(refusal).toMatchObject({ code: 'TENSOR_INVALID', fields: ['x'] });
  });
});

describe('what clients of Triton send along', () => {
  const inputs = [textInput('hello')];
  const ask = (parameters: Parameters<Host['client']['modelInfer']>[0]['parameters']) =>
    host.client.modelInfer({ modelName: 'pico', inputs, ...(parameters ? { parameters } : {}) });

  it('a timeout in microseconds is a deadline', async () => {
    const timeout = (value: bigint) => ({
      timeout: { parameterChoice: { case: 'int64Param' as const, value } },
    });
    expect(await refusalOf(ask(timeout(1n)))).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect((await ask(timeout(20_000_000n))).outputs.length).toBe(1);
    expect(await refusalOf(ask(timeout(-1n)))).toMatchObject({ fields: ['parameters.timeout'] });
  });

  it('the wish for an empty last message of a stream is taken, and each answer says that it is the last', async () => {
    async function* requests() {
      const wish = { parameterChoice: { case: 'boolParam' as const, value: true } };
      const parameters = { triton_enable_empty_final_response: wish };
      for (const modelName of ['pico', 'nobody'])
        yield await Promise.resolve({ modelName, inputs, parameters });
    }
    const seen: unknown[] = [];
    for await (const { errorMessage, inferResponse } of host.client.modelStreamInfer(requests()))
      seen.push([
        errorMessage === '',
        inferResponse?.parameters['triton_final_response']?.parameterChoice.value,
      ]);
    expect(seen).toEqual([
      [true, true],
      [false, true],
    ]);
  });

  it('a sequence is refused by name, and so are a repository that is not there and a model from a request', async () => {
    const sequence = { sequence_id: { parameterChoice: { case: 'int64Param' as const, value: 1n } } };
    expect(await refusalOf(ask(sequence))).toMatchObject({ fields: ['parameters.sequence_id'] });
    const { client } = host;
    const other = { repositoryName: 'other', modelName: 'pico' };
    for (const work of [
      client.repositoryIndex(other),
      client.repositoryModelLoad(other),
      client.repositoryModelUnload(other),
    ])
      expect(await refusalOf(work)).toMatchObject({ fields: ['repository_name'] });
    const config = { config: { parameterChoice: { case: 'stringParam' as const, value: '{}' } } };
    const given = client.repositoryModelLoad({ modelName: 'pico', parameters: config });
    expect(await refusalOf(given)).toMatchObject({ fields: ['parameters'] });
  });

  it('a model is unloaded and loaded by its name alone, with the parameter that clients add', async () => {
    const parameters = {
      unload_dependents: { parameterChoice: { case: 'boolParam' as const, value: false } },
    };
    await host.client.repositoryModelUnload({ modelName: 'pico', parameters });
    expect((await host.client.modelReady({ name: 'pico' })).ready).toBe(false);
    await host.client.repositoryModelLoad({ modelName: 'pico' });
    expect((await host.client.modelReady({ name: 'pico' })).ready).toBe(true);
    for (const work of [host.client.repositoryModelLoad, host.client.repositoryModelUnload])
      expect(await refusalOf(work({ modelName: 'nobody' }))).toMatchObject({ grpc: 'NOT_FOUND' });
  });
});
