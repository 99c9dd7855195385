import { describe, expect, it } from 'vitest';
import type { Candidate, RouteConstraints, RoutePolicy } from './candidate.js';
import { decide, type DecisionInput } from './decide.js';
import { FILTERS } from './filters/filters.js';

const candidate = (expert: string, extra: Partial<Candidate> = {}): Candidate => ({
  expert,
  version: '1',
  fittedVersion: '1',
  task: 'text-classification',
  licence: 'Apache-2.0',
  trust: 0.5,
  parameterCount: 22_000_000,
  maxTokens: 256,
  tenants: [],
  healthy: true,
  properties: { size: 1e9 },
  ...extra,
});

const input = (
  losses: Readonly<Record<string, number>>,
  extra: Partial<DecisionInput> = {},
  constraints: Partial<RouteConstraints> = {},
): DecisionInput => ({
  candidates: Object.keys(losses).map((name) => candidate(name)),
  predictions: new Map(
    Object.entries(losses).map(([name, loss]) => [name, { loss, raw: loss, low: loss - 1, high: loss + 1 }]),
  ),
  weights: new Map(),
  scales: {
    size: { transform: 'log10', min: 1e6, max: 1e12 },
    cost: { transform: 'linear', min: 0, max: 10 },
  },
  constraints: {
    task: 'text-classification',
    tenant: 'acme',
    contextTokens: 0,
    experts: [],
    limits: [],
    policy: undefined,
    ...constraints,
  },
  ...extra,
});

const names = (result: ReturnType<typeof decide>) => result.ranked.map(({ candidate: { expert } }) => expert);

describe('decide', () => {
  const sized = [
    // log10 scale from 1e6 to 1e12: 1e9 costs 0.5, 1e12 costs 1, 1e6 costs 0.
    candidate('large', { properties: { size: 1e12, cost: 5 } }),
    candidate('middle', { properties: { size: 1e9, cost: 2 } }),
    candidate('small', { properties: { size: 1e6, cost: 0 } }),
  ];
  const losses = { large: 0.1, middle: 0.4, small: 0.9 };

  it('takes the least predicted loss when nothing is weighed', () => {
    const result = decide(input(losses, { candidates: sized }));
    expect(names(result)).toEqual(['large', 'middle', 'small']);
    expect(result.reason).toBe(
      'large has the least total: a predicted loss of 0.100, 0.300 ahead of middle.',
    );
    expect(result.ranked[0]?.total).toBe(0.1);
  });

  it('adds what outcomes have taught, and says so', () => {
    const predictions = new Map([
      ['large', { loss: 0.1, raw: 0.1, low: 0, high: 1, correction: 0.5 }],
      ['middle', { loss: 0.4, raw: 0.4, low: 0, high: 1, correction: -0.1 }],
      ['small', { loss: 0.9, raw: 0.9, low: 0, high: 1 }],
    ]);
    const weights = new Map([['size', 0.1] as const]);
    const result = decide(input(losses, { candidates: sized, predictions, weights }));
    // 0.1+0.5+0.1, 0.4-0.1+0.05, 0.9+0.
    expect(result.ranked.map(({ total }) => Number(total.toFixed(9)))).toEqual([0.35, 0.7, 0.9]);
    expect(result.reason).toBe(
      'middle has the least total: a predicted loss of 0.400, corrected by -0.100 and 0.050 of costs, 0.350 ahead of large.',
    );
  });

  it('leaves a conversation with its expert, unless another is better by more than the margin', () => {
    const stay = (expert: string, margin: number, extra: Partial<DecisionInput> = {}) =>
      decide(input(losses, { candidates: sized, current: { expert, margin }, ...extra }));
    expect(names(stay('middle', 0.31))).toEqual(['middle', 'large', 'small']);
    expect(stay('middle', 0.31).reason).toBe(
      'middle has the conversation and keeps it: large is better by 0.300, within the margin of 0.310.',
    );
    expect(names(stay('middle', 0.29))).toEqual(['large', 'middle', 'small']);
    expect(names(stay('nobody', 9))).toEqual(['large', 'middle', 'small']);
    expect(stay('large', 9).reason).toContain('large has the least total');
    // It does not help against a filter, nor is the prompt any more in scope.
    expect(
      names(decide(input(losses, { current: { expert: 'middle', margin: 9 } }, { experts: ['large'] }))),
    ).toEqual(['large']);
    expect(stay('middle', 9, { outOfScope: 'Nobody knows.' })).toMatchObject({
      abstained: true,
      reason: 'Nobody knows.',
    });
  });

  it('adds lambda x cost: by hand, size at 1 nat gives 0.1+1, 0.4+0.5, 0.9+0', () => {
    const result = decide(input(losses, { candidates: sized, weights: new Map([['size', 1]]) }));
    expect(result.ranked.map(({ total }) => Number(total.toFixed(9)))).toEqual([0.9, 0.9, 1.1]);
    // A tie: the smaller name first, whatever the order of the candidates.
    expect(names(result)).toEqual(['middle', 'small', 'large']);
    expect(result.reason).toContain('and 0.500 of costs, 0.000 ahead of small');
  });

  it('adds several costs: 0.1+0.2x1+2x0.5, 0.4+0.2x0.5+2x0.2, 0.9+0+0', () => {
    const weights = new Map([
      ['size', 0.2],
      ['cost', 2],
    ] as const);
    const totals = decide(input(losses, { candidates: sized, weights })).ranked.map(
      ({ candidate: { expert }, total }) => [expert, Number(total.toFixed(9))],
    );
    expect(totals).toEqual([
      ['middle', 0.9],
      ['small', 0.9],
      ['large', 1.3],
    ]);
  });

  it('shows known costs that nobody weighed with weight 0, and unknown ones only when weighed', () => {
    const costs = (weights: DecisionInput['weights']) =>
      decide(input({ a: 1 }, { weights })).ranked[0]?.costs;
    expect(costs(new Map())).toEqual([{ name: 'size', value: 0.5, weight: 0 }]);
    expect(costs(new Map([['cost', 0.3]]))).toEqual([
      { name: 'size', value: 0.5, weight: 0 },
      { name: 'cost', value: 0.5, weight: 0.3 },
    ]);
  });

  it('ranks negative predictions as they are', () => {
    expect(names(decide(input({ a: 0, b: -0.5 })))).toEqual(['b', 'a']);
  });

  it('never ranks what has no prediction or one that is no number', () => {
    const result = decide(input({ a: 1, b: NaN, c: Infinity }));
    expect(names(result)).toEqual(['a']);
    expect(result.rejections).toEqual([
      { filter: 'head', count: 2, description: 'the router model has a head for it' },
    ]);
    const none = decide(input({ a: 1 }, { predictions: new Map() }));
    expect(none.rejected).toEqual([{ candidate: candidate('a'), filter: 'head', asRanked: undefined }]);
  });

  it('says how a rejected candidate would have ranked', () => {
    const [rejected] = decide(input({ a: 1.5 }, {}, { experts: ['b'] })).rejected;
    expect(rejected?.filter).toBe('experts');
    expect(rejected?.asRanked?.total).toBe(1.5);
  });

  it('abstains when nobody is left, and says who was rejected for what', () => {
    const policy: RoutePolicy = {
      allowedExperts: [],
      allowedLicences: ['MIT'],
      minTrust: 0,
      maxParameters: 0,
    };
    const result = decide(
      input(
        { a: 1, b: 2 },
        { candidates: [candidate('a'), candidate('b', { task: 'fill-mask' })] },
        { policy },
      ),
    );
    expect(result.abstained).toBe(true);
    expect(result.reason).toBe('No expert passes the filters (rejected: task 1, licence 1).');
    expect(decide(input({})).reason).toBe('No expert passes the filters (rejected: none registered).');
  });

  it('abstains on a prompt out of scope, and still tells the nearest', () => {
    const result = decide(input({ a: 2, b: 1 }, { outOfScope: 'Too far from everything known.' }));
    expect(result.abstained).toBe(true);
    expect(result.reason).toBe('Too far from everything known.');
    expect(names(result)).toEqual(['b', 'a']);
  });

  it('says when one alone passes', () => {
    expect(decide(input({ a: 1 })).reason).toBe(
      'a has the least total: a predicted loss of 1.000, the only one that passes the filters.',
    );
  });
});

describe('the filters', () => {
  const policy = (extra: Partial<RoutePolicy>): Partial<RouteConstraints> => ({
    policy: { allowedExperts: [], allowedLicences: [], minTrust: 0, maxParameters: 0, ...extra },
  });
  const cases: readonly [
    string,
    Partial<RouteConstraints>,
    Partial<Candidate>,
    Partial<Candidate>,
    string,
  ][] = [
    ['task', { task: 'fill-mask' }, { task: 'fill-mask' }, {}, 'serves fill-mask'],
    ['channel', {}, {}, { version: '' }, 'has a stable version'],
    ['head', {}, {}, { fittedVersion: undefined }, 'the router model has a head for it'],
    ['tenant', {}, { tenants: ['acme', 'b'] }, { tenants: ['b'] }, 'is open to the tenant acme'],
    [
      'policy',
      policy({ maxParameters: 10 }),
      { parameterCount: 10 },
      { parameterCount: 11 },
      'is allowed by the tenant’s policy',
    ],
    [
      'policy',
      policy({ allowedExperts: ['yes'] }),
      { expert: 'yes' },
      { expert: 'no' },
      'is allowed by the tenant’s policy',
    ],
    ['licence', policy({ allowedLicences: ['MIT'] }), { licence: 'MIT' }, {}, 'has a licence of MIT'],
    ['trust', policy({ minTrust: 0.5 }), { trust: 0.5 }, { trust: 0.49 }, 'has a trust of at least 0.5'],
    ['experts', { experts: ['yes'] }, { expert: 'yes' }, { expert: 'no' }, 'is one of yes'],
    ['health', {}, { healthy: undefined }, { healthy: false }, 'is not known to be down'],
    ['context', { contextTokens: 256 }, {}, { maxTokens: 255 }, 'takes at least 256 tokens'],
    ['context', { contextTokens: 256 }, { maxTokens: 0 }, { maxTokens: 1 }, 'takes at least 256 tokens'],
    [
      'limit',
      { limits: [{ name: 'size', atMost: 9 }] },
      { properties: { size: 9 } },
      { properties: { size: 9.1 } },
      'size <= 9',
    ],
    [
      'limit',
      { limits: [{ name: 'cost', atLeast: 2 }] },
      { properties: { cost: 2 } },
      { properties: { cost: 1 } },
      'cost >= 2',
    ],
    [
      'limit',
      { limits: [{ name: 'cost', atMost: 2 }] },
      { properties: { cost: 2 } },
      { properties: {} },
      'cost <= 2',
    ],
  ];

  it.each(cases)('%s passes one and rejects the other', (filter, constraints, kept, dropped, description) => {
    const passing = candidate('pass', kept);
    const failing = candidate('fail', dropped);
    const losses = { [passing.expert]: 2, [failing.expert]: 1 };
    const result = decide(input(losses, { candidates: [failing, passing] }, constraints));
    expect(names(result)).toEqual([passing.expert]);
    expect(result.rejections).toEqual([{ filter, count: 1, description }]);
  });

  it('has a case for each', () => {
    expect(new Set(cases.map(([name]) => name))).toEqual(new Set(FILTERS.map(({ name }) => name)));
  });

  it('asks policy before wishes, so that a rejection names the stronger reason', () => {
    const result = decide(
      input(
        { a: 1 },
        {},
        { ...policy({ minTrust: 0.9 }), experts: ['b'], limits: [{ name: 'size', atMost: 0 }] },
      ),
    );
    expect(result.rejections.map(({ filter }) => filter)).toEqual(['trust']);
  });

  it('describe what they want also when nothing is demanded', () => {
    const idle = input({}).constraints;
    for (const { describe: say } of FILTERS) expect(say(idle)).toMatch(/\S/);
  });
});
