import { describe, expect, it } from 'vitest';
import { answers } from '../src/adapters/http/answer-schemas.js';
import { KEYS, type GatewayUnderTest } from './support/gateway-under-test.js';
import { useGateway } from './support/use-gateway.js';

let gateway: GatewayUnderTest;
useGateway((started) => {
  gateway = started;
});

describe('the other paths', () => {
  it('POST /v1/embeddings answers vectors as numbers or base64', async () => {
    const body: unknown = await (
      await gateway.post('/v1/embeddings', { input: ['a', 'b'], model: 'base' })
    ).json();
    expect(answers.embeddings.parse(body)).toEqual(body);
    const floats = answers.embeddings.parse(body);
    expect(
      floats.data.map(({ embedding }) => (embedding as number[]).map((value) => value.toFixed(1))),
    ).toEqual([
      ['0.6', '0.8'],
      ['0.6', '0.8'],
    ]);
    expect(floats).toMatchObject({ model: 'base@1', usage: { prompt_tokens: 10 } });
    const coded = await gateway.post('/v1/embeddings', {
      input: 'a',
      model: 'base',
      encoding_format: 'base64',
    });
    const [first] = answers.embeddings.parse(await coded.json()).data;
    const bytes = Buffer.from(first?.embedding as string, 'base64');
    expect([bytes.readFloatLE(0), bytes.readFloatLE(4)].map((value) => value.toFixed(1))).toEqual([
      '0.6',
      '0.8',
    ]);
  });

  it('POST /v1/route ranks without asking a host', async () => {
    const response = await gateway.post('/v1/route', { input: 'x', task: 'fill-mask', top_k: 2 });
    const body: unknown = await response.json();
    expect(answers.route.parse(body)).toEqual(body);
    expect(body).toMatchObject({ object: 'decision', regionId: 7, reason: 'banking has the least total.' });
    expect(response.headers.get('x-thalamus-decision')).toBe('test-router@3; loss=0.250; total=0.375');
    expect(gateway.router.requests[0]).toMatchObject({ task: 'fill-mask', topK: 2 });
    expect(gateway.host.requests).toEqual([]);
  });

  it('GET /v1/models lists auto and what the caller may use, and no more', async () => {
    const list = async (key: string) => {
      const body: unknown = await (await gateway.fetch('/v1/models', { key })).json();
      expect(answers.models.parse(body)).toEqual(body);
      return answers.models.parse(body).data.map(({ id }) => id);
    };
    expect(await list(KEYS.acme.key)).toEqual(['auto', 'banking', 'base', 'clinic', 'cold']);
    expect(await list(KEYS.globex.key)).toEqual(['auto', 'banking', 'base', 'clinic', 'cold', 'private']);
    expect(await list(KEYS.slow.key)).toEqual(['auto', 'banking']);
  });

  it('GET /v1/models/{id} describes one', async () => {
    const body: unknown = await (await gateway.fetch('/v1/models/banking')).json();
    expect(answers.model.parse(body)).toMatchObject({
      id: 'banking',
      thalamus: { stable: '2', label_count: 2 },
    });
    expect(answers.model.parse(await (await gateway.fetch('/v1/models/auto')).json()).id).toBe('auto');
  });

  it('POST /v1/feedback is accepted', async () => {
    const response = await gateway.post('/v1/feedback', {
      request_id: 'r-1',
      score: 0.5,
      label: 'card_lost',
    });
    expect(response.status).toBe(202);
    const body: unknown = await response.json();
    expect(answers.feedback.parse(body)).toEqual(body);
    expect(body).toMatchObject({ request_id: 'r-1' });
  });

  it('GET /healthz and /openapi.json need no key', async () => {
    for (const path of ['/healthz', '/openapi.json'])
      expect((await gateway.fetch(path, { key: null })).status).toBe(200);
  });
});
