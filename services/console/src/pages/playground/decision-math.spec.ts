import { describe, expect, it } from 'vitest';
import { costKinds, costPlane, flagText, weigh, weightsOf } from './decision-math.js';

const small = {
  expert: 'small',
  predictedLoss: 1,
  correction: 0,
  interval: [0.5, 1.5] as const,
  total: 1,
  costs: [
    { name: 'size', value: 0.1, weight: 0 },
    { name: 'recency', value: 0.5, weight: 0.25 },
  ],
};
const large = {
  expert: 'large',
  predictedLoss: 0.7,
  correction: 0,
  interval: [0.4, 1] as const,
  total: 0.7,
  costs: [
    { name: 'size', value: 0.9, weight: 0 },
    { name: 'recency', value: 0.5, weight: 0.25 },
  ],
};

describe('weigh', () => {
  it('ranks by predicted loss alone without weights', () => {
    expect(weigh([small, large], {}).map(({ expert }) => expert)).toEqual(['large', 'small']);
  });
  it('adds weight times cost, and so moves the choice', () => {
    const [first, second] = weigh([small, large], { size: 0.5 });
    expect([first?.expert, second?.expert]).toEqual(['small', 'large']);
    expect(first?.total).toBeCloseTo(1.05, 12);
    expect(second?.total).toBeCloseTo(1.15, 12);
  });
  it('gives ties to the smaller name', () => {
    const twin = { ...small, expert: 'a' };
    expect(weigh([small, twin], {}).map(({ expert }) => expert)).toEqual(['a', 'small']);
  });
});

describe('weightsOf', () => {
  it('takes over the weights that the decision was made with', () => {
    expect(weightsOf([small, large])).toEqual({ size: 0, recency: 0.25 });
    expect(weightsOf([])).toEqual({});
  });
});

describe('costKinds', () => {
  it('says which costs tell experts apart, those first', () => {
    expect(costKinds([small, large])).toEqual([
      { name: 'size', differs: true },
      { name: 'recency', differs: false },
    ]);
    expect(costKinds([small]).map(({ differs }) => differs)).toEqual([false, false]);
  });
});

describe('flagText', () => {
  it('writes what is weighed, in the grammar of flags', () => {
    expect(flagText({ size: 0.5, latency: 0, cost: 2 })).toBe('size=0.5,cost=2');
  });
  it('leaves out what holds anyway, and takes a given weight back with a zero', () => {
    expect(flagText({ size: 0.5, cost: 0 }, { size: 0.5, cost: 1 })).toBe('cost=0');
  });
});

describe('costPlane', () => {
  it('finds who is beaten in both', () => {
    const worse = { ...large, expert: 'worse', predictedLoss: 0.8 };
    const { points, slope } = costPlane(weigh([small, large, worse], {}));
    expect(slope).toBe(0);
    expect(points.map(({ expert, isOnFront }) => [expert, isOnFront])).toEqual([
      ['large', true],
      ['worse', false],
      ['small', true],
    ]);
    // The cost that is the same for all moves nothing and is left out.
    expect(points.map(({ cost }) => cost)).toEqual([0.9, 0.9, 0.1]);
  });
  it('keeps the total: loss + slope x cost, up to what is the same for all', () => {
    const experts = weigh([small, large], { size: 0.5 });
    const { points, slope } = costPlane(experts);
    points.forEach(({ loss, cost }, index) => {
      expect(loss + slope * cost).toBeCloseTo(experts[index]?.total ?? 0, 12);
    });
  });
  it('has no front without experts', () => {
    expect(costPlane([])).toEqual({ points: [], slope: 0 });
  });
});
