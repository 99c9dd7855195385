import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Mesh } from '../support/mesh.js';
import { startMesh } from '../support/start-mesh.js';

let mesh: Mesh;
beforeAll(async () => {
  mesh = await startMesh();
});
afterAll(() => mesh.stop());

async function call(path: string, body?: unknown, headers: Record<string, string> = {}) {
  const raw = typeof body === 'string' || body instanceof Uint8Array;
  const response = await fetch(`${mesh.http}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${mesh.key}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined
      ? {}
      : { body: raw ? (body as string | Uint8Array<ArrayBuffer>) : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    json: JSON.parse(text) as Record<string, unknown>,
  };
}

describe('the HTTP API', () => {
  it('classifies a batch, each text by its own expert', async () => {
    const input = ['I lost my card, please block it', 'Add this song to my workout playlist'];
    const { status, json, headers } = await call('/v1/classifications', {
      input,
      thalamus: { decision: true },
    });
    expect(status).toBe(200);
    const data = json['data'] as { expert: string; label: string; decision: { ranked: unknown[] } }[];
    expect(data).toHaveLength(2);
    expect(data[1]?.expert).toBe('snips7');
    expect(data[1]?.label).toBe('AddToPlaylist');
    expect(data[0]?.decision.ranked.length).toBeGreaterThan(5);
    expect(headers.get('x-thalamus-expert')).toContain('snips7');
  });

  it('embeds texts as unit vectors; similar texts are nearer', async () => {
    const input = ['I lost my card', 'My card is gone', 'The court reversed the judgment'];
    const { status, json } = await call('/v1/embeddings', { input, model: 'minilm-l6' });
    expect(status).toBe(200);
    const vectors = (json['data'] as { embedding: number[] }[]).map(({ embedding }) => embedding);
    const dot = (a: number[], b: number[]) =>
      a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
    for (const vector of vectors) expect(dot(vector, vector)).toBeCloseTo(1, 3);
    expect(dot(vectors[0]!, vectors[1]!)).toBeGreaterThan(dot(vectors[0]!, vectors[2]!) + 0.2);
  });

  it('lists the models, auto first', async () => {
    const { status, json } = await call('/v1/models');
    expect(status).toBe(200);
    const ids = (json['data'] as { id: string }[]).map(({ id }) => id);
    expect(ids[0]).toBe('auto');
    expect(ids).toEqual(expect.arrayContaining([...mesh.experts]));
    expect((await call('/v1/models/snips7')).json).toMatchObject({ id: 'snips7' });
  });

  it('ranks under flags of the body and of the header', async () => {
    const { json } = await call(
      '/v1/route',
      { input: 'hello', flags: 'size=0.5' },
      { 'x-thalamus-flags': 'latency=0.2' },
    );
    const [best] = json['ranked'] as { costs: { name: string; weight: number }[] }[];
    expect(best?.costs).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'size', weight: 0.5 }),
        expect.objectContaining({ name: 'latency', weight: 0.2 }),
      ]),
    );
  });

  it('describes itself', async () => {
    const { json } = await call('/openapi.json');
    expect(json['openapi']).toMatch(/^3\./);
    const paths = Object.keys(json['paths'] as object);
    expect(paths).toEqual(
      expect.arrayContaining(['/v1/classifications', '/v1/embeddings', '/v1/models', '/v1/route']),
    );
  });
});

describe('what the HTTP API refuses', () => {
  it.each([
    ['JSON that is none', '{"input": ', 400, 'REQUEST_INVALID'],
    ['an unknown field', { input: 'hello', colour: 'red' }, 400, 'REQUEST_INVALID'],
    ['an empty prompt', { input: '' }, 400, 'REQUEST_INVALID'],
    ['an unknown model', { input: 'hello', model: 'nobody' }, 404, 'EXPERT_NOT_FOUND'],
    ['a prompt beyond the limit', { input: 'word '.repeat(230_000) }, 413, 'REQUEST_TOO_LARGE'],
    [
      'bytes that are not UTF-8',
      new Uint8Array([...Buffer.from('{"input": "'), 0xff, 0xfe, ...Buffer.from('"}')]),
      400,
      'REQUEST_INVALID',
    ],
    ['an unknown flag', { input: 'hello', flags: 'colour=1' }, 400, 'FLAG_INVALID'],
  ])('%s', async (_what, body, status, code) => {
    const answer = await call('/v1/classifications', body);
    expect(answer.json).toMatchObject({ error: { code, message: expect.any(String) as string } });
    expect(answer.status).toBe(status);
  });

  it('a key that was never made', async () => {
    const answer = await call('/v1/models', undefined, { authorization: 'Bearer tk_wrong' });
    expect(answer.status).toBe(401);
    expect(answer.json).toMatchObject({ error: { code: 'KEY_INVALID' } });
  });

  it('a path that does not exist', async () => {
    const answer = await call('/v1/nothing');
    expect(answer.status).toBe(404);
    expect(answer.json).toMatchObject({ error: { message: expect.any(String) as string } });
  });
});
