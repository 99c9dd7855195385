import { writePicoGraph, slowGraph, writePicoBase, writePicoProbe } from '@thalamus/testing';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askHttp, postHttp, side, text, withBytes, type Answer } from './ask-http.js';
import { Host, PROBES, Registry } from './host-harness.js';
import { addIdentities, DATATYPES } from './identity-graphs.js';

const MAX_BODY_BYTES = 200_000;

let registry: Registry;
let host: Host;
beforeAll(async () => {
  registry = await Registry.open();
  await addIdentities(registry);
  const { digest } = await writePicoBase(registry.path('pico'), { name: 'pico' });
  await registry.add('pico');
  const { labels, seed } = PROBES.animals;
  await writePicoProbe(registry.path('animals'), { name: 'animals', seed }, labels, { name: 'pico', digest });
  await registry.add('animals');
  await writePicoGraph(registry.path('slow'), { name: 'slow' }, slowGraph());
  await registry.add('slow');
  host = await Host.start(registry, { THALAMUS_MAX_BODY_BYTES: String(MAX_BODY_BYTES) });
});
afterAll(async () => {
  await host.stop(0);
  await registry.close();
});

const ask = (path: string, init?: RequestInit) => askHttp(host.url, path, init);
const post = (path: string, body: unknown) => postHttp(host.url, path, body);

describe.each(Object.entries(DATATYPES))('a tensor of %s over HTTP', (datatype, { raw, contents }) => {
  const path = `/v2/models/same-${datatype.toLowerCase()}/infer`;
  const input = { name: 'x', datatype, shape: [2] };

  it('comes back as it went, in binary form', async () => {
    const parameters = { binary_data_size: raw.byteLength };
    const sent = withBytes(
      { inputs: [{ ...input, parameters }], parameters: { binary_data_output: true } },
      raw,
    );
    const { status, json, behind, headers } = await ask(path, { method: 'POST', ...sent });
    expect([status, json.error]).toEqual([200, undefined]);
    expect(headers.get('content-type')).toBe('application/octet-stream');
    expect(json.outputs).toMatchObject([{ name: 'y', datatype, shape: [2], parameters }]);
    expect([...behind]).toEqual([...raw]);
  });

  it('comes back as it went in JSON, where the protocol has a form for it', async () => {
    const parameters = { binary_data_size: raw.byteLength };
    const sent = withBytes({ inputs: [{ ...input, parameters }] }, raw);
    const first = await ask(path, { method: 'POST', ...sent });
    if (!contents) {
      expect(first.status).toBe(400);
      expect(first.json.error).toContain(`is ${datatype}, which JSON has no form for`);
      return;
    }
    const response = await fetch(`${host.url}${path}`, { method: 'POST', ...sent });
    // Not parsed here: 64-bit integers would be rounded.
    const data = /"data":(\[.*?\])/.exec(await response.text())?.[1] ?? '';
    const again = await post(
      path,
      `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[2],"data":${data}}],"outputs":[{"name":"y","parameters":{"binary_data":true}}]}`,
    );
    expect([...again.behind]).toEqual([...raw]);
  });
});

describe('what the host says of itself and its models over HTTP', () => {
  it('is what it says over gRPC', async () => {
    expect((await ask('/v2')).json).toMatchObject({
      name: 'thalamus-expert-host',
      extensions: expect.arrayContaining(['binary_tensor_data', 'classification']) as unknown,
    });
    expect(await ask('/v2/health/live')).toMatchObject({ status: 200, json: { live: true } });
    expect(await ask('/v2/health/ready')).toMatchObject({ status: 200, json: { ready: true } });
    for (const path of ['/v2/models/animals', '/v2/models/animals/versions/1']) {
      const { inputs, outputs, name } = await host.client.modelMetadata({ name: 'animals' });
      const plain = (tensors: typeof inputs) =>
        tensors.map((tensor) => ({
          name: tensor.name,
          datatype: tensor.datatype,
          shape: tensor.shape.map(Number),
        }));
      expect((await ask(path)).json).toMatchObject({
        name,
        versions: ['1'],
        inputs: plain(inputs),
        outputs: plain(outputs),
      });
      expect((await ask(`${path}/ready`)).json).toEqual({ name: 'animals', ready: true });
      expect((await ask(`${path}/config`)).json).toMatchObject({
        name: 'animals',
        platform: 'onnxruntime_onnx',
        max_batch_size: 0,
        input: [{ name: 'text', data_type: 'TYPE_STRING', dims: [-1] }],
        version_policy: { specific: { versions: [1] } },
      });
    }
  });

  it('has the statistics of one model and of all', async () => {
    await post('/v2/models/animals/infer', { inputs: [text('hello')] });
    const { json } = await ask('/v2/models/animals/versions/1/stats');
    const stats = json as unknown as { model_stats: Record<string, unknown>[] };
    expect(stats.model_stats).toMatchObject([{ name: 'animals', version: '1' }]);
    expect(stats.model_stats[0]?.['inference_count']).toBeGreaterThan(0);
    const all = (await ask('/v2/models/stats')).json as unknown as { model_stats: { name: string }[] };
    expect(all.model_stats.map(({ name }) => name)).toEqual(expect.arrayContaining(['animals', 'same-fp32']));
  });

  it('lists, unloads and loads models', async () => {
    const index = async (body: object) =>
      (await post('/v2/repository/index', body)).json as unknown as { name: string; state: string }[];
    expect(await index({})).toContainEqual({ name: 'animals', version: '1', state: 'READY', reason: '' });
    const gone = await post('/v2/repository/models/animals/unload', {
      parameters: { unload_dependents: false },
    });
    expect(gone.status).toBe(200);
    expect(await ask('/v2/models/animals/ready')).toMatchObject({ status: 400, json: { ready: false } });
    expect((await ask('/v2/models/animals')).status).toBe(503);
    expect((await index({ ready: true })).map(({ name }) => name)).not.toContain('animals');
    expect((await ask('/v2/repository/models/animals%401/load', { method: 'POST' })).status).toBe(200);
    expect((await ask('/v2/models/animals/ready')).status).toBe(200);
  });
});

describe('an inference over HTTP', () => {
  it('answers flat JSON with the id, the parameters and the outputs that were asked for', async () => {
    const { status, json } = await post('/v2/models/animals/versions/1/infer', {
      id: 'r-1',
      model_name: 'animals',
      inputs: [text('a cat', 'a dog')],
      outputs: [{ name: 'scores' }],
    });
    expect(status).toBe(200);
    expect(json).toMatchObject({ id: 'r-1', model_name: 'animals', model_version: '1' });
    expect(json['parameters']).toMatchObject({ truncated: false, batch_size: 2 });
    const [scores] = json.outputs;
    expect(scores).toMatchObject({ name: 'scores', datatype: 'FP32', shape: [2, 3] });
    expect(scores?.data).toHaveLength(6);
    const over = await host.client.modelInfer({
      modelName: 'animals',
      inputs: [
        {
          name: 'text',
          datatype: 'BYTES',
          shape: [2n],
          contents: { bytesContents: [Buffer.from('a cat'), Buffer.from('a dog')] },
        },
      ],
    });
    const index = over.outputs.findIndex(({ name }) => name === 'scores');
    expect(scores?.data).toEqual([
      ...new Float32Array(new Uint8Array(over.rawOutputContents[index]!).buffer),
    ]);
  });

  it('takes nested data, binary and JSON inputs side by side, and classes instead of scores', async () => {
    const nested = await post('/v2/models/same-int32/infer', {
      inputs: [{ name: 'x', datatype: 'INT32', shape: [3], data: [1, 2, 3] }],
    });
    expect(nested.json.outputs[0]?.data).toEqual([1, 2, 3]);
    const { json } = await post('/v2/models/animals/infer', {
      inputs: [text('a cat')],
      outputs: [{ name: 'scores', parameters: { classification: 2 } }],
    });
    expect(json.outputs[0]).toMatchObject({ datatype: 'BYTES', shape: [1, 2] });
    expect(json.outputs[0]?.data?.[0]).toMatch(/^\d\.\d{6}:\d:(cat|dog|bird)$/);
  });

  it('takes and gives compressed bodies', async () => {
    const texts = Array.from({ length: 100 }, (_unused, index) => `text ${index}`);
    const plain = JSON.stringify({ inputs: [text(...texts)] });
    const response = await fetch(`${host.url}/v2/models/same-bytes/infer`, {
      method: 'POST',
      body: gzipSync(plain.replace('"text"', '"x"')),
      headers: { 'content-encoding': 'gzip', 'accept-encoding': 'gzip' },
    });
    expect(response.headers.get('content-encoding')).toBe('gzip');
    const { outputs } = (await response.json()) as Answer['json'];
    expect(outputs[0]?.data).toEqual(texts);
  });
});

describe('what is refused over HTTP', () => {
  const infer = '/v2/models/animals/infer';
  const x = { name: 'x', datatype: 'INT32', shape: [2] };
  const same = '/v2/models/same-int32/infer';
  it.each([
    ['no JSON', infer, '{"inputs":', 400, 'not JSON'],
    ['a list', infer, '[]', 400, 'not an object'],
    ['an empty body', infer, '', 400, 'empty'],
    ['an unknown field', infer, { inputs: [], modelname: 'x' }, 400, 'modelname: is unknown'],
    [
      'an unknown field of an input',
      same,
      { inputs: [{ ...x, data: [1, 2], dims: 1 }] },
      400,
      'inputs[0].dims',
    ],
    ['a field twice', infer, '{"id":"a","id":"b"}', 400, 'id: is given twice'],
    [
      'an unknown parameter',
      infer,
      { inputs: [text('a')], parameters: { sequence_id: 1 } },
      400,
      'parameters.sequence_id',
    ],
    [
      'a parameter that is a list',
      infer,
      { inputs: [text('a')], parameters: { a: [] } },
      400,
      'parameters.a',
    ],
    ['an input without data', same, { inputs: [x] }, 400, 'inputs[0].data'],
    [
      'too few elements',
      same,
      { inputs: [{ ...x, data: [1] }] },
      400,
      'has 1 elements, but its shape needs 2',
    ],
    [
      'a huge shape',
      same,
      { inputs: [{ ...x, shape: [4_000_000, 4_000_000], data: [] }] },
      400,
      'elements by its shape',
    ],
    [
      'a shape beyond 64 bits',
      same,
      `{"inputs":[{"name":"x","datatype":"INT32","shape":[99999999999999999999],"data":[]}]}`,
      400,
      'inputs[0].shape[0]',
    ],
    ['a negative shape', same, { inputs: [{ ...x, shape: [-2], data: [1, 2] }] }, 400, 'impossible size -2'],
    [
      'a fraction for an integer',
      same,
      { inputs: [{ ...x, data: [1, 2.5] }] },
      400,
      'element at 1 that is no INT32',
    ],
    ['an integer that does not fit', same, { inputs: [{ ...x, data: [1, 2 ** 31] }] }, 400, 'no INT32'],
    ['an unknown datatype', same, { inputs: [{ ...x, datatype: 'INT7', data: [1, 2] }] }, 400, 'INT7'],
    [
      'FP16 in JSON',
      '/v2/models/same-fp16/infer',
      { inputs: [{ ...x, datatype: 'FP16', data: [1, 2] }] },
      400,
      'binary',
    ],
    [
      'an unknown output',
      infer,
      { inputs: [text('a')], outputs: [{ name: 'nothing' }] },
      400,
      'Output nothing is unknown',
    ],
    ['an unknown model', '/v2/models/nobody/infer', { inputs: [text('a')] }, 404, 'EXPERT_NOT_FOUND'],
    [
      'an unknown version',
      '/v2/models/animals/versions/9/infer',
      { inputs: [text('a')] },
      404,
      'EXPERT_NOT_FOUND',
    ],
    [
      'a load with parameters',
      '/v2/repository/models/animals/load',
      { parameters: { config: '{}' } },
      400,
      'Load takes the parameters pinned (bool) and priority',
    ],
    ['another repository', '/v2/repository/index', { repository_name: 'x' }, 400, 'repository_name'],
    ['an unknown path', '/v2/models/animals/generate', {}, 404, 'RESOURCE_NOT_FOUND'],
    [
      'a deadline that is too short',
      '/v2/models/slow/infer',
      { inputs: [side(2_000)], parameters: { timeout: 1 } },
      504,
      'DEADLINE_EXCEEDED',
    ],
  ] as const)('%s', async (_what, path, body, status, says) => {
    const answer = await post(path, body);
    expect(answer.json.error).toContain(says);
    expect(answer.status).toBe(status);
    expect(Object.keys(answer.json)).toEqual(['error']);
  });

  it.each([
    ['a length of the JSON beyond the body', '99999', 4, 'inference-header-content-length'],
    ['a length that is no number', 'ten', 4, 'inference-header-content-length'],
    ['bytes that no input takes', undefined, 5, 'has 1 bytes behind the JSON'],
    ['fewer bytes than an input takes', undefined, 3, 'binary_data_size'],
  ] as const)('%s', async (_what, length, bytes, says) => {
    const inputs = [{ name: 'x', datatype: 'INT32', shape: [1], parameters: { binary_data_size: 4 } }];
    const { body, headers } = withBytes({ inputs }, new Uint8Array(bytes));
    const changed = length === undefined ? headers : { 'inference-header-content-length': length };
    const answer = await ask(same, { method: 'POST', body, headers: changed });
    expect([answer.status, answer.json.error]).toEqual([400, expect.stringContaining(says)]);
  });

  it('BYTES that break off, and more of them than their shape says', async () => {
    const bytes = Uint8Array.of(9, 0, 0, 0, 1);
    for (const [raw, says] of [
      [bytes, 'cut off'],
      [new Uint8Array(8), 'more elements than its shape'],
    ] as const) {
      const parameters = { binary_data_size: raw.byteLength };
      const sent = withBytes({ inputs: [{ name: 'x', datatype: 'BYTES', shape: [1], parameters }] }, raw);
      const answer = await ask('/v2/models/same-bytes/infer', { method: 'POST', ...sent });
      expect([answer.status, answer.json.error]).toEqual([400, expect.stringContaining(says)]);
    }
  });

  it('another method, with those that the path has', async () => {
    const { status, headers, json } = await ask('/v2/models/animals', { method: 'DELETE' });
    expect([status, headers.get('allow')]).toEqual([405, 'GET']);
    expect(json.error).toContain('METHOD_NOT_ALLOWED');
    expect((await fetch(`${host.url}/v2`, { method: 'HEAD' })).status).toBe(200);
  });

  it('a body beyond the limit, plain, in chunks and compressed', async () => {
    const long = 'x'.repeat(MAX_BODY_BYTES);
    expect((await post(infer, { inputs: [text(long)] })).status).toBe(413);
    const chunks = new ReadableStream({
      start: (controller) => {
        controller.enqueue(Buffer.from(JSON.stringify({ inputs: [text(long)] })));
        controller.close();
      },
    });
    const init = { method: 'POST', body: chunks, duplex: 'half' } as RequestInit;
    expect((await ask(infer, init)).status).toBe(413);
    const bomb = gzipSync(JSON.stringify({ inputs: [text(long)] }));
    expect(bomb.byteLength).toBeLessThan(MAX_BODY_BYTES / 10);
    const headers = { 'content-encoding': 'gzip' };
    expect((await ask(infer, { method: 'POST', body: bomb, headers })).status).toBe(413);
    expect((await ask(infer, { method: 'POST', body: bomb.subarray(9), headers })).status).toBe(400);
    const other = { 'content-encoding': 'br' };
    expect((await ask(infer, { method: 'POST', body: bomb, headers: other })).status).toBe(415);
    expect(gunzipSync(bomb).byteLength).toBeGreaterThan(MAX_BODY_BYTES);
  });

  it('a page in a browser: nobody is asked for a key here', async () => {
    const headers = { origin: 'https://elsewhere.example' };
    const answer = await ask('/v2/repository/models/animals/unload', { method: 'POST', headers });
    expect([answer.status, answer.json.error]).toEqual([403, expect.stringContaining('PERMISSION_DENIED')]);
    expect((await ask('/v2/models/animals/ready')).status).toBe(200);
  });
});
