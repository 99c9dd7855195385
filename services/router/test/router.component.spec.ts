import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import type { routerV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RouterUnderTest, TASK } from './support/router-under-test.js';

type Request = MessageInitShape<typeof routerV1.RouteRequestSchema>;

let router: RouterUnderTest;
let revision: bigint;
beforeAll(async () => {
  router = await RouterUnderTest.prepare();
  await router.expert('cheap', { flopsPerToken: 1e6, priceInputUsdPerMtok: 0, trust: 0.25 });
  await router.expert('good', { flopsPerToken: 1e9, priceInputUsdPerMtok: 5 });
  await router.expert('best', { flopsPerToken: 1e12, priceInputUsdPerMtok: 10, licence: 'MIT' });
  await router.expert('unfitted');
  await router.expert('broken');
  await router.reside('broken', 'failed');
  await router.register('policy/careful', {
    case: 'policy',
    value: { tenant: 'careful', minTrust: 0.5, allowedLicences: ['Apache-2.0'], defaultWeights: { size: 1 } },
  });
  const losses = { best: 0.25, good: 0.5, cheap: 1, broken: 0 };
  revision = await router.activate('constant', await router.storeConstantRouter('constant', losses));
  await router.start();
});
afterAll(() => router.stop());

const ask = (request: Request = {}, options = {}) =>
  router.client.route({ prompt: 'Where is my card?', task: TASK, ...request }, options);
const weight = (name: string, value: number) => ({ name, form: { case: 'weight' as const, value } });
const faultOf = async (work: Promise<unknown>): Promise<ThalamusError> => {
  try {
    await work;
  } catch (fault) {
    if (ThalamusError.is(fault)) return fault;
    throw fault;
  }
  throw new Error('the call succeeded');
};
const ranking = ({ decision }: routerV1.RouteResponse) => decision?.ranked.map(({ expert }) => expert);

describe('Route', () => {
  it('ranks by predicted loss, with intervals, what each would cost and who was rejected', async () => {
    const answer = await ask();
    expect(ranking(answer)).toEqual(['best', 'good', 'cheap']);
    expect(answer.decision).toMatchObject({
      abstained: false,
      reason: 'best has the least total: a predicted loss of 0.250, 0.250 ahead of good.',
      routerModel: 'constant',
      routerModelVersion: '1',
      lossUnit: 'nats',
      encoderDigest: router.encoderDigest,
      truncated: false,
      flags: [],
    });
    expect(answer.decision?.ranked[0]).toMatchObject({
      expert: 'best',
      fittedVersion: '1',
      inherited: false,
      predictedLoss: 0.25,
      lossLow: 0,
      lossHigh: 0.75,
      total: 0.25,
      propensity: 1,
      costs: [
        { name: 'cost', value: 1, weight: 0 },
        { name: 'size', value: 1, weight: 0 },
      ],
    });
    expect(answer.decision?.rejected).toMatchObject([
      { filter: 'head', count: 1, description: 'the router model has a head for it' },
      { filter: 'health', count: 1, description: 'is not known to be down' },
    ]);
    expect(answer.decision?.promptTokens).toBeGreaterThan(5);
    expect(answer.registryRevision).toBe(revision);
    expect(answer.timings.map(({ stage }) => stage)).toEqual([
      'queue',
      'tokenise',
      'encode',
      'predict',
      'decide',
    ]);
    expect(answer.strippedPrompt).toBe('Where is my card?');
  });

  it('answers a prompt that comes again as before, without its encoder, and weighs it anew', async () => {
    const encodeMs = ({ timings }: routerV1.RouteResponse) =>
      timings.find(({ stage }) => stage === 'encode')?.durationMs ?? NaN;
    const prompt = 'A prompt that comes again';
    const first = await ask({ prompt });
    const again = await ask({ prompt });
    expect(encodeMs(first)).toBeGreaterThan(0);
    expect(encodeMs(again)).toBe(0);
    expect(again.decision).toEqual(first.decision);
    const weighed = await ask({ prompt, flags: [weight('size', 0.5), weight('cost', 0.1)] });
    expect(encodeMs(weighed)).toBe(0);
    expect(ranking(weighed)).toEqual(['good', 'best', 'cheap']);
    expect(encodeMs(await ask({ prompt, tenant: 'careful' }))).toBeGreaterThan(0);
  });

  it('weighs costs: by hand, size at 0.5 nats and price at 0.1 give 0.85, 0.8 and 1', async () => {
    const answer = await ask({ flags: [weight('size', 0.5), weight('cost', 0.1)] });
    expect(answer.decision?.ranked.map(({ expert, total }) => [expert, Number(total.toFixed(9))])).toEqual([
      ['good', 0.8],
      ['best', 0.85],
      ['cheap', 1],
    ]);
  });

  it('takes levels of the router model, limits, and flags of the prompt that the request does not give', async () => {
    const level = await ask({ flags: [{ name: 'size', form: { case: 'level', value: 'high' } }] });
    expect(ranking(level)).toEqual(['cheap', 'good', 'best']);
    const limit = await ask({ flags: [{ name: 'cost', form: { case: 'atMost', value: 5 } }] });
    expect(ranking(limit)).toEqual(['good', 'cheap']);
    expect(limit.decision?.rejected.find(({ filter }) => filter === 'limit')).toMatchObject({ count: 1 });
    const tagged = await ask({ prompt: '[flag: size=2, cost<5] Hello', flags: [weight('size', 0)] });
    expect(tagged.strippedPrompt).toBe('Hello');
    expect(tagged.decision?.flags.map(({ name, form }) => [name, form])).toEqual([
      ['size', { case: 'weight', value: 0 }],
      ['cost', { case: 'atMost', value: 5 }],
    ]);
    expect(ranking(tagged)).toEqual(['good', 'cheap']);
  });

  it('holds the tenant to its policy whatever the flags, and applies its default weights', async () => {
    const strict = await ask({ tenant: 'careful', flags: [weight('size', 9), weight('cost', 9)] });
    expect(ranking(strict)).toEqual(['good']);
    expect(strict.decision?.rejected.map(({ filter, count }) => [filter, count])).toEqual([
      ['head', 1],
      ['licence', 1],
      ['trust', 1],
      ['health', 1],
    ]);
    const applied = await ask({ tenant: 'careful' });
    expect(applied.decision?.flags).toMatchObject([{ name: 'size', form: { case: 'weight', value: 1 } }]);
    expect(applied.decision?.ranked[0]?.total).toBe(1);
  });

  it('returns the top_k best, only the experts asked for, and only those that take the context', async () => {
    expect(ranking(await ask({ topK: 1 }))).toEqual(['best']);
    expect(ranking(await ask({ experts: ['good', 'cheap'] }))).toEqual(['good', 'cheap']);
    const none = await ask({ contextTokens: 257 });
    expect(none.decision).toMatchObject({ abstained: true, ranked: [] });
    expect(none.decision?.reason).toBe(
      'No expert passes the filters (rejected: head 1, health 1, context 3).',
    );
  });

  it('answers a prompt of 1 MB by its first tokens and says so', async () => {
    const answer = await ask({ prompt: 'word '.repeat(209_715) });
    expect(answer.decision).toMatchObject({ truncated: true, promptTokens: 256 });
  });

  it('answers many at once each by its own flags', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        ask({ prompt: `text ${index}`, flags: [weight('size', index % 2 ? 9 : 0)] }),
      ),
    );
    expect(answers.map((answer) => ranking(answer)?.[0])).toEqual(
      Array.from({ length: 20 }, (_, index) => (index % 2 ? 'cheap' : 'best')),
    );
  });

  it('waits for the revision that the caller must see, and not for ever', async () => {
    const later = ask({ minRegistryRevision: revision + 2n, experts: ['late'] });
    expect(await router.expert('late')).toBe(revision + 2n);
    expect((await later).registryRevision).toBe(revision + 2n);
    const fault = await faultOf(ask({ minRegistryRevision: 1_000_000n }, { deadlineMs: 200 }));
    expect(fault.code).toBe('DEADLINE_EXCEEDED');
  });

  it.each([
    ['an empty prompt', { prompt: '' }, 'REQUEST_INVALID', 'prompt'],
    ['a prompt of white space', { prompt: ' \n ' }, 'REQUEST_INVALID', 'prompt'],
    ['a prompt that is only a tag', { prompt: '[flag: size=1]' }, 'REQUEST_INVALID', 'prompt'],
    ['a prompt over 1 MB', { prompt: 'x'.repeat(1_048_577) }, 'REQUEST_TOO_LARGE', undefined],
    ['no task', { task: '' }, 'REQUEST_INVALID', 'task'],
    ['a word that is no task', { task: 'sing' }, 'REQUEST_INVALID', 'task'],
    ['a task without a router model', { task: 'fill-mask' }, 'ROUTER_MODEL_NOT_FOUND', undefined],
    ['an unknown flag', { flags: [weight('speed', 1)] }, 'FLAG_INVALID', 'flags[0]'],
    ['a flag without a form', { flags: [{ name: 'size' }] }, 'FLAG_INVALID', 'flags[0]'],
    ['a flag twice', { flags: [weight('size', 1), weight('size', 2)] }, 'FLAG_INVALID', 'flags[1]'],
    ['a negative weight', { flags: [weight('size', -1)] }, 'FLAG_INVALID', 'flags[0]'],
    ['a weight that is no number', { flags: [weight('size', NaN)] }, 'FLAG_INVALID', 'flags[0]'],
    [
      'a level nobody knows',
      { flags: [{ name: 'size', form: { case: 'level', value: 'huge' } }] },
      'FLAG_INVALID',
      'flags[0]',
    ],
    [
      'a flag that the model cannot weigh',
      { flags: [weight('verbosity', 1)] },
      'FLAG_INVALID',
      'flags.verbosity',
    ],
    [
      'limits that contradict each other',
      { prompt: '[flag: cost<1] x', flags: [{ name: 'cost', form: { case: 'atLeast', value: 2 } }] },
      'FLAG_INVALID',
      'flags.cost',
    ],
    ['an unknown flag in a tag', { prompt: '[flag: speed=1] x' }, 'FLAG_INVALID', 'flags'],
    ['a bound on the risk', { risk: { alpha: 0.1, delta: 0.1 } }, 'METHOD_UNSUPPORTED', undefined],
  ] satisfies [string, Request, string, string | undefined][])(
    'refuses %s',
    async (_name, request, code, field) => {
      const fault = await faultOf(ask(request));
      expect(fault.code).toBe(code);
      expect(fault.violations[0]?.field).toBe(field);
      expect(fault.message).toMatch(/[.;]/);
    },
  );

  it('refuses a prompt that is not UTF-8', async () => {
    const error = await new Promise<ServiceError | null>((resolve) => {
      const channel = new Client(router.address, credentials.createInsecure());
      const identity = (value: Buffer) => value;
      const payload = Buffer.from([0x0a, 0x02, 0xff, 0xfe]);
      channel.makeUnaryRequest(
        '/thalamus.router.v1.RouterService/Route',
        identity,
        identity,
        payload,
        (fault) => {
          channel.close();
          resolve(fault);
        },
      );
    });
    expect(error?.code).toBe(3);
  });

  it('tells of a cancelled call and of a deadline', async () => {
    const aborter = new AbortController();
    const work = faultOf(ask({ minRegistryRevision: 1_000_000n }, { signal: aborter.signal }));
    aborter.abort();
    expect((await work).code).toBe('CANCELLED');
    expect((await faultOf(ask({}, { deadlineMs: 0 }))).code).toBe('DEADLINE_EXCEEDED');
  });
});

describe('RouteStream', () => {
  it('answers in order, and a failed request fails alone', async () => {
    const requests = async function* () {
      yield await Promise.resolve({ request: { prompt: 'one', task: TASK, requestId: '1' } });
      yield { request: { prompt: '', task: TASK, requestId: '2' } };
      yield {};
      yield { request: { prompt: 'four', task: 'fill-mask', requestId: '4' } };
      yield { request: { prompt: 'five', task: TASK, requestId: '5', flags: [weight('size', 9)] } };
    };
    const seen: unknown[][] = [];
    for await (const { requestId, result } of router.client.routeStream(requests()))
      seen.push([
        requestId,
        result.case,
        result.case === 'response' ? ranking(result.value)?.[0] : result.value?.code,
      ]);
    expect(seen).toEqual([
      ['1', 'response', 'best'],
      ['2', 'error', 'REQUEST_INVALID'],
      ['', 'error', 'REQUEST_INVALID'],
      ['4', 'error', 'ROUTER_MODEL_NOT_FOUND'],
      ['5', 'response', 'cheap'],
    ]);
  });
});

describe('Explain', () => {
  /** The choice by what Explain says alone: scales, weights, levels, raw properties, predictions, threshold. */
  async function byHand(request: Request) {
    let summary: routerV1.RouteResponse | undefined;
    let basis: routerV1.DecisionBasis | undefined;
    const candidates: routerV1.ExplainedCandidate[] = [];
    for await (const { part } of router.client.explain({
      request: { prompt: 'x', task: TASK, ...request },
    })) {
      if (part.case === 'summary') summary = part.value;
      else if (part.case === 'basis') basis = part.value;
      else if (part.case === 'candidate') candidates.push(part.value);
    }
    if (!summary?.decision || !basis) throw new Error('Explain left a part out');
    const { costScales, verbalLevels, abstentionScore, abstentionThreshold, unknownCost } = basis;
    const weights = summary.decision.flags.flatMap(({ name, form }): [string, number][] => {
      if (form.case === 'weight') return [[name, form.value]];
      return form.case === 'level' ? [[name, verbalLevels[form.value] ?? NaN]] : [];
    });
    const costOf = (name: string, value: number | undefined) => {
      const scale = costScales[name];
      if (!scale) throw new Error(`no scale of ${name}`);
      if (value === undefined) return unknownCost;
      const on = (raw: number) => (scale.transform === 'log10' ? Math.log10(raw) : raw);
      const cost = (on(value) - on(scale.min)) / (on(scale.max) - on(scale.min));
      return Math.min(1, Math.max(0, cost));
    };
    const totals = candidates
      .filter(({ rejectedBy }) => rejectedBy === '')
      .map(({ expert, properties }) => ({
        name: expert?.expert ?? '',
        total: weights.reduce(
          (sum, [name, weight]) => sum + weight * costOf(name, properties[name]),
          (expert?.predictedLoss ?? NaN) + (expert?.correction ?? 0),
        ),
      }))
      .sort((a, b) => a.total - b.total || (a.name < b.name ? -1 : 1));
    const isOutside = abstentionScore !== '' && summary.decision.outOfScopeScore > abstentionThreshold;
    return {
      summary,
      candidates,
      ranking: totals.map(({ name }) => name),
      abstains: totals.length === 0 || isOutside,
    };
  }

  it.each([
    ['nothing weighed', {}],
    ['weights', { flags: [weight('size', 0.5), weight('cost', 0.1)] }],
    [
      'a level and a limit',
      {
        flags: [
          { name: 'size', form: { case: 'level' as const, value: 'high' } },
          { name: 'cost', form: { case: 'atMost' as const, value: 5 } },
        ],
      },
    ],
    ['the weights of a policy', { tenant: 'careful' }],
  ] satisfies [string, Request][])('is enough to choose again by hand: %s', async (_name, request) => {
    const { summary, ranking: again, abstains, candidates } = await byHand(request);
    expect(again).toEqual(ranking(summary));
    expect(again.length).toBeGreaterThan(0);
    expect(abstains).toBe(summary.decision?.abstained);
    for (const { expert } of candidates.filter(({ rejectedBy }) => rejectedBy === ''))
      expect(expert?.rawLoss).toBe(expert?.predictedLoss);
  });

  it('gives every candidate with all that is needed to decide again by hand', async () => {
    const request = { prompt: 'x', task: TASK, topK: 1, flags: [weight('size', 0.5), weight('cost', 0.1)] };
    let summary: routerV1.RouteResponse | undefined;
    const candidates: routerV1.ExplainedCandidate[] = [];
    for await (const { part } of router.client.explain({ request })) {
      if (part.case === 'summary') summary = part.value;
      else if (part.case === 'candidate') candidates.push(part.value);
    }
    expect(summary?.decision?.ranked).toHaveLength(1);
    const kept = candidates.filter(({ rejectedBy }) => rejectedBy === '');
    const again = kept
      .map(({ expert, properties }) => {
        const size = (Math.log10(properties['size'] ?? NaN) - 6) / 6;
        const cost = (properties['cost'] ?? NaN) / 10;
        const total = (expert?.predictedLoss ?? NaN) + 0.5 * size + 0.1 * cost;
        expect(expert?.total).toBeCloseTo(total, 9);
        return { name: expert?.expert, total };
      })
      .sort((a, b) => a.total - b.total);
    expect(again[0]?.name).toBe(summary?.decision?.ranked[0]?.expert);
    expect(kept.map(({ expert }) => expert?.expert)).toEqual(again.map(({ name }) => name));
    const rejected = candidates.filter(({ rejectedBy }) => rejectedBy !== '');
    expect(rejected.map(({ expert, rejectedBy }) => [expert?.expert, rejectedBy]).sort()).toEqual([
      ['broken', 'health'],
      ['late', 'head'],
      ['unfitted', 'head'],
    ]);
    // Why it would have been chosen: a loss of 0 and half the size scale at 0.5 nats.
    const broken = rejected.find(({ expert }) => expert?.expert === 'broken');
    expect(broken?.expert?.total).toBeCloseTo(0.25, 9);
    expect(kept[0]?.properties).toMatchObject({ parameters: 1000, trust: 0.5, max_tokens: 256 });
  });

  it('refuses what Route refuses, and a message without a request', async () => {
    const explain = async (request?: Request) => {
      for await (const part of router.client.explain(request ? { request } : {}))
        expect(part).toBeUndefined();
    };
    expect((await faultOf(explain({ prompt: '', task: TASK }))).code).toBe('REQUEST_INVALID');
    expect(await faultOf(explain())).toMatchObject({
      code: 'REQUEST_INVALID',
      violations: [{ field: 'request' }],
    });
  });
});

describe('ListRouterModels', () => {
  it('describes what is served', async () => {
    const { models } = await router.client.listRouterModels({});
    expect(models).toMatchObject([
      {
        name: 'constant',
        version: '1',
        task: TASK,
        lossUnit: 'nats',
        candidates: ['best', 'good', 'cheap', 'broken'],
        encoderDigest: router.encoderDigest,
        evaluation: { 'test/top-1': 0.5 },
      },
    ]);
  });
});
