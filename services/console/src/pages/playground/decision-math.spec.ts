import { describe, expect, it } from 'vitest';
import { costNames, flagText, weigh } from './decision-math.js';

const small = {
  expert: 'small',
  predictedLoss: 1,
  interval: [0.5, 1.5] as const,
  total: 1,
  costs: [{ name: 'size', value: 0.1, weight: 0 }],
};
const large = {
  expert: 'large',
  predictedLoss: 0.7,
  interval: [0.4, 1] as const,
  total: 0.7,
  costs: [{ name: 'size', value: 0.9, weight: 0 }],
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

describe('costNames', () => {
  it('says which costs tell experts apart', () => {
    expect(costNames([small, large])).toEqual([{ name: 'size', differs: true }]);
    expect(costNames([small])).toEqual([{ name: 'size', differs: false }]);
  });
});

describe('flagText', () => {
  it('writes what is weighed, in the grammar of flags', () => {
    expect(flagText({ size: 0.5, latency: 0, cost: 2 })).toBe('size=0.5,cost=2');
  });
});
