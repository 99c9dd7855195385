import { ThalamusError } from '@thalamus/errors';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { answers } from '../src/adapters/http/answer-schemas.js';
import { decision } from './support/fake-services.js';
import { GatewayUnderTest, KEYS } from './support/gateway-under-test.js';

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await GatewayUnderTest.start();
});
afterAll(() => gateway.stop());
beforeEach(() => {
  gateway.router.reset();
  gateway.host.reset();
});

const errorOf = async (response: Response) => {
  const body = (await response.json()) as { error: Record<string, unknown> };
  return { status: response.status, ...body.error };
};

describe('POST /v1/classifications', () => {
  it('routes the text, asks the stable version of the best expert, and says who answered', async () => {
    const response = await gateway.post('/v1/classifications', {
      input: '[flag: size=0.5] I lost my card',
      thalamus: { decision: true },
    });
    expect(response.status).toBe(200);
    const body = answers.classifications.parse(await response.json());
    expect(body.data[0]).toMatchObject({
      expert: 'banking',
      version: '2',
      label: 'card_lost',
      scores: [
        { label: 'card_lost', score: 0.75 },
        { label: 'other', score: 0.25 },
      ],
      truncated: false,
    });
    expect(body.data[0]?.decision).toMatchObject({
      ranked: [
        {
          expert: 'banking',
          predictedLoss: 0.25,
          costs: [{ name: 'size', value: 0.25, weight: 0.5 }],
          total: 0.375,
        },
        { expert: 'clinic' },
      ],
      rejected: [{ filter: 'licence', count: 2 }],
      abstained: false,
      routerModel: 'test-router',
    });
    expect(Object.keys(body.data[0]?.timings_ms ?? {})).toEqual([
      'encode',
      'decide',
      'route',
      'infer',
      'total',
    ]);
    expect(body.usage).toEqual({ prompt_tokens: 5, total_tokens: 5 });
    expect(response.headers.get('x-thalamus-expert')).toBe('banking');
    expect(response.headers.get('x-thalamus-version')).toBe('2');
    expect(response.headers.get('x-thalamus-decision')).toBe('test-router@3; loss=0.250; total=0.375');
    // The expert gets the text without its tag; the router gets it whole, for it reads the tag.
    expect(gateway.router.requests[0]).toMatchObject({
      prompt: '[flag: size=0.5] I lost my card',
      task: 'text-classification',
      tenant: 'acme',
    });
    const sent = gateway.host.requests[0];
    expect(Buffer.from(sent?.inputs[0]?.contents?.bytesContents[0] ?? []).toString()).toBe('I lost my card');
    expect(sent).toMatchObject({ modelName: 'banking', modelVersion: '2' });
  });

  it('leaves the decision out unless asked, and answers in the shape that is documented', async () => {
    const response = await gateway.post('/v1/classifications', { input: ['one', 'two'], top: 1 });
    const body: unknown = await response.json();
    expect(answers.classifications.parse(body)).toEqual(body);
    const { data } = answers.classifications.parse(body);
    expect(data.map(({ index, scores, decision: shown }) => [index, scores.length, shown])).toEqual([
      [0, 1, undefined],
      [1, 1, undefined],
    ]);
    expect(response.headers.get('x-thalamus-decision')).toBeNull();
  });

  it('asks a named expert without the router, in its stable or in a pinned version', async () => {
    for (const [model, version] of [
      ['banking', '2'],
      ['banking@1', '1'],
    ]) {
      const response = await gateway.post('/v1/classifications', { input: 'x', model });
      expect(response.headers.get('x-thalamus-version')).toBe(version);
    }
    expect(gateway.router.requests).toEqual([]);
  });

  it('merges flags: body before header before model name, each form of each flag once', async () => {
    const send = (body: object, header: string) =>
      gateway.post(
        '/v1/classifications',
        { input: 'x', ...body },
        { headers: { 'x-thalamus-flags': header } },
      );
    await send({ model: 'auto:size=3,recency=3', flags: 'size=1' }, 'size=2, cost=high');
    await send({ thalamus: { flags: { size: 1, latency: '<100', security: 'low' } } }, '');
    const sent = gateway.router.requests.map(({ flags }) => flags.map(({ name, form }) => [name, form]));
    expect(sent[0]).toEqual([
      ['size', { case: 'weight', value: 1 }],
      ['cost', { case: 'level', value: 'high' }],
      ['recency', { case: 'weight', value: 3 }],
    ]);
    expect(sent[1]).toEqual([
      ['size', { case: 'weight', value: 1 }],
      ['latency', { case: 'atMost', value: 100 }],
      ['security', { case: 'level', value: 'low' }],
    ]);
  });

  it('keeps the request id of the caller and makes one otherwise', async () => {
    const given = await gateway.post(
      '/v1/classifications',
      { input: 'x' },
      { headers: { 'x-request-id': 'r-1' } },
    );
    expect(given.headers.get('x-request-id')).toBe('r-1');
    expect(((await given.json()) as { id: string }).id).toBe('r-1');
    expect(gateway.router.requests[0]?.requestId).toBe('r-1');
    const bad = await gateway.post(
      '/v1/classifications',
      { input: 'x' },
      { headers: { 'x-request-id': 'a b' } },
    );
    expect(bad.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  describe('when the router abstains', () => {
    const abstain = () => {
      gateway.router.answer = () =>
        Promise.resolve({
          decision: decision({ abstained: true, reason: 'No expert is known to fit: the score is 0.8.' }),
          strippedPrompt: 'x',
        });
    };

    it('answers 422 with the reason and the nearest expert, and asks no host', async () => {
      abstain();
      const response = await gateway.post('/v1/classifications', { input: 'x' });
      expect(await errorOf(response)).toMatchObject({
        status: 422,
        code: 'NO_SUITABLE_EXPERT',
        type: 'invalid_request_error',
        message:
          'No expert is known to fit: the score is 0.8. Name an expert to ask it anyway; the nearest is banking.',
      });
      expect(gateway.host.requests).toEqual([]);
    });

    it('uses the fallback of the policy, and says that it did', async () => {
      abstain();
      await gateway.register('policy/globex', {
        case: 'policy',
        value: { tenant: 'globex', fallbackExpert: 'clinic' },
      });
      await expect
        .poll(
          async () =>
            (await gateway.post('/v1/classifications', { input: 'x' }, { key: KEYS.globex.key })).status,
        )
        .toBe(200);
      const response = await gateway.post('/v1/classifications', { input: 'x' }, { key: KEYS.globex.key });
      expect(response.headers.get('x-thalamus-expert')).toBe('clinic');
      expect(response.headers.get('x-thalamus-decision')).toContain('; abstained');
    });

    it.each([
      ['of another task', 'base', 'serves feature-extraction, not text-classification'],
      ['that is gone', 'nobody', 'cannot be used (EXPERT_NOT_FOUND)'],
    ])('passes over a fallback %s, and names it', async (_what, fallbackExpert, why) => {
      abstain();
      await gateway.register('policy/acme', { case: 'policy', value: { tenant: 'acme', fallbackExpert } });
      const ask = async (): Promise<Record<string, unknown>> =>
        errorOf(await gateway.post('/v1/classifications', { input: 'x' }));
      await expect.poll(async () => (await ask())['message'], { timeout: 10_000 }).toContain(fallbackExpert);
      const refused = await ask();
      expect(refused).toMatchObject({ status: 422, code: 'NO_SUITABLE_EXPERT' });
      expect(refused['message']).toBe(
        `No expert is known to fit: the score is 0.8. The fallback expert of the policy, ${fallbackExpert}, ${why}. Name an expert to ask it anyway; the nearest is banking.`,
      );
      expect(gateway.host.requests).toEqual([]);
      await gateway.register('policy/acme', { case: 'policy', value: { tenant: 'acme' } });
    });
  });
});

describe('the host behind the gateway', () => {
  it('is asked once more after a crash, and never more than that', async () => {
    const crash = () => Promise.reject(new ThalamusError('EXPERT_CRASHED', 'The process ended.'));
    const { answer } = gateway.host;
    let failures = 1;
    gateway.host.answer = (request, context) => (failures-- > 0 ? crash() : answer(request, context));
    expect((await gateway.post('/v1/classifications', { input: 'x', model: 'clinic' })).status).toBe(200);
    expect(gateway.host.requests).toHaveLength(2);
    gateway.host.reset();
    gateway.host.answer = crash;
    const failed = await gateway.post('/v1/classifications', { input: 'x', model: 'clinic' });
    expect(await errorOf(failed)).toMatchObject({
      status: 503,
      code: 'EXPERT_CRASHED',
      type: 'server_error',
    });
    expect(gateway.host.requests).toHaveLength(2);
  });

  it('is not asked again for what another try cannot mend, nor without time for it', async () => {
    gateway.host.answer = () => Promise.reject(new ThalamusError('INFERENCE_FAILED', 'No.'));
    expect((await gateway.post('/v1/classifications', { input: 'x', model: 'clinic' })).status).toBe(500);
    expect(gateway.host.requests).toHaveLength(1);
    gateway.host.reset();
    gateway.host.answer = () => Promise.reject(new ThalamusError('EXPERT_CRASHED', 'The process ended.'));
    const hurried = { headers: { 'x-request-timeout-ms': '45' } };
    await gateway.post('/v1/classifications', { input: 'x', model: 'clinic' }, hurried);
    expect(gateway.host.requests.length).toBeLessThanOrEqual(1);
  });

  it('that no one has ready is 503 with a time to come back', async () => {
    const response = await gateway.post('/v1/classifications', { input: 'x', model: 'cold' });
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await errorOf(response)).toMatchObject({ status: 503, code: 'EXPERT_NOT_READY' });
  });
});

describe('a service behind the gateway that cannot be reached', () => {
  it('is 503 that says what to do and when, and not where the service would be', async () => {
    const away = () =>
      Promise.reject(new ThalamusError('UPSTREAM_UNAVAILABLE', 'connect ECONNREFUSED 127.0.0.1:1'));
    for (const [fake, model] of [
      [gateway.router, 'auto'],
      [gateway.host, 'clinic'],
    ] as const) {
      fake.answer = away;
      const response = await gateway.post('/v1/classifications', { input: 'x', model });
      expect(response.headers.get('retry-after')).toBe('1');
      expect(response.status).toBe(503);
      const { error } = answers.error.parse(await response.json());
      expect(error.code).toBe('UPSTREAM_UNAVAILABLE');
      expect(error.message).toContain('cannot be reached just now; try again');
      expect(error.message).not.toContain('127.0.0.1');
      fake.reset();
    }
  });
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

describe('keys', () => {
  it.each([
    ['no key', null, 'No API key was sent'],
    ['a malformed key', 'thk_nonsense', 'The API key is not valid'],
    ['an unknown key', `thk_${'0'.repeat(12)}_${'a'.repeat(43)}`, 'The API key is not valid'],
    ['a wrong secret', `${KEYS.acme.id}_${'a'.repeat(43)}`, 'The API key is not valid'],
    ['a revoked key', KEYS.revoked.key, 'was revoked'],
  ])('refuses %s with 401', async (_name, key, message) => {
    for (const path of [
      '/v1/models',
      '/v1/models/auto',
      '/v1/nothing',
      '/%761/models/auto',
      '/v1%2Fmodels',
    ]) {
      const response = await gateway.fetch(path, { key });
      if (response.status === 404) expect(path).toBe('/v1%2Fmodels');
      else {
        expect(response.headers.get('www-authenticate')).toBe('Bearer');
        const error = await errorOf(response);
        expect(error).toMatchObject({ status: 401, code: 'KEY_INVALID', type: 'authentication_error' });
        expect(error['message' as keyof typeof error]).toContain(message);
      }
    }
    const bare = await fetch(`${gateway.url}/v1/models`, { headers: { authorization: KEYS.acme.key } });
    expect(bare.status).toBe(401);
  });

  it('hides experts of other tenants, and tells of those that a policy forbids', async () => {
    const hidden = await gateway.post('/v1/classifications', { input: 'x', model: 'private' });
    expect(await errorOf(hidden)).toMatchObject({ status: 404, code: 'EXPERT_NOT_FOUND' });
    const open = await gateway.post(
      '/v1/classifications',
      { input: 'x', model: 'private' },
      { key: KEYS.globex.key },
    );
    expect(open.status).toBe(200);
  });
});

describe('limits', () => {
  it('of a tenant’s rate answer 429 with a time to come back, and bind no other tenant', async () => {
    const key = KEYS.slow.key;
    let last = await gateway.fetch('/v1/models', { key });
    for (let more = 0; more < 2 && last.status === 200; more++)
      last = await gateway.fetch('/v1/models', { key });
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(900);
    expect(await errorOf(last)).toMatchObject({
      status: 429,
      code: 'RATE_LIMITED',
      type: 'rate_limit_error',
    });
    expect((await gateway.fetch('/v1/models')).status).toBe(200);
  });

  it('of requests at once answer 429 and free the place when a request ends', async () => {
    const small = await GatewayUnderTest.start({ THALAMUS_MAX_IN_FLIGHT: '1' });
    try {
      const { answer } = small.host;
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      small.host.answer = async (request, context) => {
        await held;
        return answer(request, context);
      };
      const first = small.post('/v1/classifications', { input: 'x', model: 'clinic' });
      await expect.poll(() => small.host.requests.length).toBe(1);
      expect(await errorOf(await small.fetch('/v1/models'))).toMatchObject({
        status: 429,
        code: 'EXPERT_OVERLOADED',
      });
      release();
      expect((await first).status).toBe(200);
      await expect.poll(async () => (await small.fetch('/v1/models')).status).toBe(200);
    } finally {
      await small.stop();
    }
  });
});
