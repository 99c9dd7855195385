import { describe, expect, it } from 'vitest';
import type { ComposedParent } from '../../api/composition-types.js';
import {
  ageText,
  colourOf,
  distinctRanks,
  expiryText,
  fractionText,
  headOf,
  lineagePath,
  lostPoints,
  parentsText,
  pointsText,
  scoreShares,
  scoreTexts,
  shareText,
  spanText,
  worstParent,
} from './composition-facts.js';

const parent = (name: string, parentAccuracy: number | null, accuracy: number | null): ComposedParent => ({
  name,
  version: '1',
  kind: 'lowrank',
  sizeBytes: 1000,
  n: accuracy === null ? 0 : 100,
  parentAccuracy,
  accuracy,
  parentNats: null,
  nats: null,
  normalized: accuracy === null || parentAccuracy === null ? null : accuracy / parentAccuracy,
  routedHere: null,
});
const PARENTS = [parent('a', 0.9, 0.9), parent('b', 0.8, 0.72), parent('c', null, null)];
const NOW = Date.parse('2026-11-29T12:00:00Z');
const after = (minutes: number) => new Date(NOW + minutes * 60_000).toISOString();

describe('what a composition keeps', () => {
  it('is said in points, a loss with a minus and a gain with a plus', () => {
    expect(PARENTS.map((own) => pointsText(lostPoints(own)))).toEqual(['0.0', '−8.0', '–']);
    expect(pointsText(lostPoints(parent('d', 0.8, 0.825)))).toBe('+2.5');
    // Of a masked language model, of the normalised score.
    const masked = {
      ...parent('m', null, null),
      n: 50,
      parentNats: 3,
      nats: 3.1,
      normalized: Math.exp(-0.1),
    };
    expect(pointsText(lostPoints(masked))).toBe('−9.5');
    expect(scoreTexts(masked)).toEqual({ alone: '3.000 nats', composed: '3.100 nats' });
    expect(scoreTexts(PARENTS[1]!)).toEqual({ alone: '80.0 %', composed: '72.0 %' });
    expect(scoreShares(masked).composed).toBeCloseTo(Math.exp(-3.1), 9);
    expect(scoreShares(PARENTS[1]!)).toEqual({ alone: 0.8, composed: 0.72 });
    // Less than is shown is nothing.
    expect(pointsText(0.04)).toBe('0.0');
  });

  it('is worst at the parent with the smallest share of its own', () => {
    expect(worstParent(PARENTS)?.name).toBe('b');
    expect(worstParent([PARENTS[2]!])).toBeUndefined();
    // 5 points of 50 are more than 6 points of 90.
    expect(worstParent([parent('x', 0.9, 0.84), parent('y', 0.5, 0.45)])?.name).toBe('y');
  });

  it('is a share, or not known', () => {
    expect(shareText(0.9652)).toBe('96.5 %');
    expect(shareText(null)).toBe('–');
  });
});

describe('time', () => {
  it.each([
    [20_000, 'less than 1 min'],
    [60_000, '1 min'],
    [59 * 60_000, '59 min'],
    [90 * 60_000, '1 h'],
    [49 * 3_600_000, '2 d'],
  ])('%d ms are %s', (ms, text) => {
    expect(spanText(ms)).toBe(text);
  });

  it('is age, and what is left', () => {
    expect(ageText({ createdAt: after(-125) }, NOW)).toBe('2 h');
    expect(ageText({ createdAt: null }, NOW)).toBe('–');
    expect(expiryText({ expiresAt: after(30) }, NOW)).toBe('in 30 min');
    expect(expiryText({ expiresAt: after(-1) }, NOW)).toBe('now');
    expect(expiryText({ expiresAt: null }, NOW)).toBe('never');
  });
});

describe('parents', () => {
  it('stand in a line, the rest as a number', () => {
    expect(parentsText(PARENTS)).toBe('a + b + c');
    expect(parentsText(PARENTS, 1)).toBe('a + 2 more');
  });

  it('have a colour each, up to ten', () => {
    expect([0, 9, 10, 40].map(colourOf)).toEqual([0, 9, 10, 10]);
  });

  it('are joined to the middle', () => {
    expect(lineagePath(0, 2, 50)).toBe('M0 25 C50 25 50 50 100 50');
    expect(lineagePath(1, 2, 50)).toBe('M0 75 C50 75 50 50 100 50');
  });

  it('answer by name, or by weight where the name is hidden', () => {
    const weighing = { weights: [0.2, 0.7, 0.1], parent: 'c', label: '', score: 1, abstains: undefined };
    expect(headOf(weighing, PARENTS)).toBe(2);
    expect(headOf({ ...weighing, parent: 'of another tenant' }, PARENTS)).toBe(1);
  });
});

describe('ranks', () => {
  it('are shares with the digits that they need', () => {
    expect([0.0025, 0.005, 0.02, 0.1, 1].map(fractionText)).toEqual([
      '0.25 %',
      '0.5 %',
      '2 %',
      '10 %',
      '100 %',
    ]);
  });

  it('that come to the same are one', () => {
    const ranks = [
      { fraction: 0.0025, bytes: 10, energy: 0.4 },
      { fraction: 0.005, bytes: 10, energy: 0.4 },
      { fraction: 0.01, bytes: 30, energy: 0.6 },
    ];
    expect(distinctRanks(ranks)).toEqual(ranks.slice(1));
    expect(distinctRanks([])).toEqual([]);
  });
});
