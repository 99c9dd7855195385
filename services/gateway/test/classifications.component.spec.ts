import { describe, expect, it } from 'vitest';
import { answers } from '../src/adapters/http/answer-schemas.js';
import { decision } from './support/fake-services.js';
import { KEYS, type GatewayUnderTest } from './support/gateway-under-test.js';
import { errorOf, useGateway } from './support/use-gateway.js';

let gateway: GatewayUnderTest;
useGateway((started) => {
  gateway = started;
});

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
