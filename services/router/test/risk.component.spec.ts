import type { MessageInitShape } from '@bufbuild/protobuf';
import type { routerV1 } from '@thalamus/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RouterUnderTest, TASK } from './support/router-under-test.js';

type Request = MessageInitShape<typeof routerV1.RouteRequestSchema>;

let router: RouterUnderTest;
beforeAll(async () => {
  router = await RouterUnderTest.prepare();
  await router.expert('best', { flopsPerToken: 1e12, priceInputUsdPerMtok: 10 });
  await router.expert('good', { flopsPerToken: 1e9, priceInputUsdPerMtok: 5 });
  await router.expert('cheap', { flopsPerToken: 1e6, priceInputUsdPerMtok: 0, licence: 'MIT' });
  await router.register('policy/strict', {
    case: 'policy',
    value: { tenant: 'strict', risk: { alpha: 0.3, delta: 0.1 } },
  });
  await router.register('policy/open', {
    case: 'policy',
    value: { tenant: 'open', allowedExperts: ['cheap', 'good'] },
  });
  const exploration = { epsilon: 0.8, pool: 2, within: 1 };
  await router.register('policy/curious', { case: 'policy', value: { tenant: 'curious', exploration } });
  const both = { tenant: 'both', exploration, risk: { alpha: 0.3, delta: 0.1 } };
  await router.register('policy/both', { case: 'policy', value: both });
  const losses = { best: 0.25, good: 0.5, cheap: 1 };
  await router.activate('measured', await router.storeRiskRouter('measured', losses, 600));
  await router.start();
}, 120_000);
afterAll(() => router.stop());

const ask = (request: Request = {}) =>
  router.client.route({ prompt: 'Where is my card?', task: TASK, ...request });
const first = async (request: Request) => (await ask(request)).decision?.ranked[0]?.expert;

describe('a bound on the risk', () => {
  it('puts the cheapest within it first, and says by which rule, against whom and on how many rows', async () => {
    const { decision } = await ask({ risk: { alpha: 0.3, delta: 0.1 } });
    expect(decision?.ranked.map(({ expert }) => expert)).toEqual(['good', 'best', 'cheap']);
    expect(decision?.risk).toMatchObject({
      alpha: 0.3,
      delta: 0.1,
      reference: 'best',
      rows: 600,
      saves: 'cost',
    });
    expect(decision?.risk?.meanLost).toBeCloseTo(0.25, 6);
    expect(decision?.risk?.pValue).toBeLessThanOrEqual(0.05);
    expect(decision?.risk?.threshold).toBeGreaterThanOrEqual(0.25);
    expect(decision?.reason).toMatch(/^good is the cheapest expert predicted within/);
    expect((await ask()).decision?.risk).toBeUndefined();
  });

  it('is the best single expert when it is tight, and the cheapest of all when it is wide', async () => {
    expect(await first({ risk: { alpha: 0.01, delta: 0.1 } })).toBe('best');
    expect((await ask({ risk: { alpha: 0.01, delta: 0.1 } })).decision?.risk?.rule).toBe('reference');
    expect(await first({ risk: { alpha: 1, delta: 0.1 } })).toBe('cheap');
  });

  it('is held among those that pass the filters, and saves what the flags weigh', async () => {
    const { decision } = await ask({ tenant: 'open', risk: { alpha: 0.1, delta: 0.1 } });
    expect(decision?.risk?.reference).toBe('good');
    expect(decision?.ranked[0]?.expert).toBe('good');
    const flags = [{ name: 'size', form: { case: 'weight' as const, value: 0.5 } }];
    expect((await ask({ flags, risk: { alpha: 0.3, delta: 0.1 } })).decision?.risk?.saves).toBe('weights');
  });

  it('of a policy holds for every request, and no request loosens it', async () => {
    expect((await ask({ tenant: 'strict' })).decision).toMatchObject({ risk: { alpha: 0.3, delta: 0.1 } });
    const looser = await ask({ tenant: 'strict', risk: { alpha: 1, delta: 0.5 } });
    expect(looser.decision).toMatchObject({ risk: { alpha: 0.3, delta: 0.1 } });
    expect(looser.decision?.ranked[0]?.expert).toBe('good');
    const stricter = await ask({ tenant: 'strict', risk: { alpha: 0.01, delta: 0.5 } });
    expect(stricter.decision).toMatchObject({ risk: { alpha: 0.01, delta: 0.1 } });
    expect(stricter.decision?.ranked[0]?.expert).toBe('best');
  });

  it('is the same for many who ask at once, while others are answered', async () => {
    const asked = Array.from({ length: 12 }, (_, at) =>
      at % 2 === 0
        ? first({ prompt: `text ${at}`, risk: { alpha: 0.31, delta: 0.1 } })
        : first({ prompt: `text ${at}` }),
    );
    expect(await Promise.all(asked)).toEqual(
      Array.from({ length: 12 }, (_, at) => (at % 2 === 0 ? 'good' : 'best')),
    );
  });

  it('without anybody who passes changes nothing', async () => {
    const { decision } = await ask({ experts: ['nobody'], risk: { alpha: 0.1, delta: 0.1 } });
    expect(decision).toMatchObject({ abstained: true, ranked: [] });
    expect(decision?.risk).toBeUndefined();
  });

  it.each([
    ['a negative loss', { alpha: -0.1, delta: 0.1 }, 'risk.alpha'],
    ['a loss that is no number', { alpha: NaN, delta: 0.1 }, 'risk.alpha'],
    ['a loss that nothing can reach', { alpha: 2, delta: 0.1 }, 'risk.alpha'],
    ['no probability', { alpha: 0.1, delta: 0 }, 'risk.delta'],
    ['certainty of failing', { alpha: 0.1, delta: 1 }, 'risk.delta'],
  ])('refuses %s', async (_name, risk, field) => {
    await expect(ask({ risk })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      violations: [{ field }],
    });
  });
});

describe('exploration', () => {
  const shares = async (request: Request) =>
    (await ask(request)).decision?.ranked.map(({ expert, propensity }) => [
      expert,
      Number(propensity.toFixed(9)),
    ]);

  it('is off unless policy allows it', async () => {
    for (let at = 0; at < 10; at++)
      expect(await shares({ requestId: `r${at}` })).toEqual([
        ['best', 1],
        ['good', 0],
        ['cheap', 0],
      ]);
  });

  it('picks from the pool with the propensities that it states, and the same for a request id', async () => {
    const firsts = new Set<string>();
    for (let at = 0; at < 30; at++) {
      const request = { tenant: 'curious', requestId: `r${at}` };
      const ranked = (await shares(request)) ?? [];
      expect(Object.fromEntries(ranked)).toEqual({ best: 0.6, good: 0.4, cheap: 0 });
      expect(await shares(request)).toEqual(ranked);
      firsts.add(String(ranked[0]?.[0]));
    }
    expect([...firsts].sort()).toEqual(['best', 'good']);
    expect((await ask({ tenant: 'curious', requestId: 'r1' })).decision?.reason).toMatch(
      /explored|least total/,
    );
  });

  it('leaves a conversation with its expert', async () => {
    for (let at = 0; at < 10; at++)
      expect((await shares({ tenant: 'curious', requestId: `r${at}`, currentExpert: 'best' }))?.[0]).toEqual([
        'best',
        1,
      ]);
  });

  it('never touches a request with a bound on the risk, of the request or of the policy', async () => {
    for (let at = 0; at < 10; at++) {
      const asked = { tenant: 'curious', requestId: `r${at}`, risk: { alpha: 0.01, delta: 0.1 } };
      expect((await shares(asked))?.[0]).toEqual(['best', 1]);
      expect((await shares({ tenant: 'both', requestId: `r${at}` }))?.[0]).toEqual(['good', 1]);
    }
  });
});
