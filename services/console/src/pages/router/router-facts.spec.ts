import { describe, expect, it } from 'vitest';
import type { RouterReport } from '../../api/types.js';
import { placeLabels } from './place-labels.js';
import { plotScale, tickText } from './plot-scale.js';
import {
  colourings,
  crossTable,
  intervalText,
  lossText,
  MOST_COLOURS,
  regretBars,
  activationText,
  routerChoices,
} from './router-facts.js';

const figure = (value: number, interval: [number, number] | null = null) => ({ value, interval });
const baseline = (name: string, regret: number, expert: string | null = null) => ({
  ...{ name, expert, regret, loss: 0.1 + regret, behind: null, cost: null },
});

const report: RouterReport = {
  lossUnit: 'error',
  dataset: 'made',
  split: 'test',
  n: 3,
  fitted: false,
  date: '2026-11-29',
  experts: ['unfair-tos', 'banking77', 'never'],
  figures: {
    loss: figure(0.2),
    regret: figure(0.1, [0.08, 0.12]),
    top1: figure(0.9),
    coverage: 0.9,
    targetCoverage: 0.9,
    brier: null,
    cost: null,
  },
  baselines: [baseline('oracle', 0), baseline('knn', 0.05), baseline('bestSingle', 0.4, 'banking77')],
  choices: [],
  reliability: [],
  pareto: null,
  map: {
    neighbours: 10,
    chance: { label: 0.5, best: 0.5 },
    labels: ['other', 'banking77', 'unfair_tos'],
    label: [1, 1, 2, 0],
    chosen: [1, 1, 0, 1],
    spaces: [],
  },
  notes: [],
};

describe('regretBars', () => {
  it('puts the router among the baselines, least first, without the oracle', () => {
    expect(regretBars(report).map(({ label, regret }) => [label, regret])).toEqual([
      ['Nearest prompts', 0.05],
      ['This router', 0.1],
      ['Best single: banking77', 0.4],
    ]);
    expect(regretBars(report)[1]?.interval).toEqual([0.08, 0.12]);
  });

  it('shows a baseline that it does not know by its own name', () => {
    const bars = regretBars({ ...report, baselines: [baseline('newer', 0.3)] });
    expect(bars[1]).toMatchObject({ label: 'newer', meaning: '' });
  });
});

describe('colourings', () => {
  const { domain, expert } = colourings(report);

  it('gives a domain that is named as an expert its colour, and the others what is free', () => {
    expect(expert.classes.map(({ name, count, colour }) => [name, count, colour])).toEqual([
      ['unfair-tos', 1, 1],
      ['banking77', 3, 0],
      ['never', 0, 2],
    ]);
    expect(domain.classes.map(({ name, count, colour }) => [name, count, colour])).toEqual([
      ['other', 1, 2],
      ['banking77', 2, 0],
      ['unfair_tos', 1, 1],
    ]);
    expect(domain.of).toBe(report.map.label);
  });

  it('has one colour for all beyond the tenth', () => {
    const experts = Array.from({ length: 14 }, (_, at) => `expert-${at}`);
    const labels = Array.from({ length: 12 }, (_, at) => `label ${at}`);
    const many = colourings({ experts, map: { ...report.map, labels, label: [0], chosen: [0] } });
    expect(many.expert.classes.filter(({ colour }) => colour === MOST_COLOURS)).toHaveLength(4);
    expect(many.domain.classes.map(({ colour }) => colour)).toEqual([...Array(10).keys(), 10, 10]);
  });
});

it('crossTable counts whom each domain is given to', () => {
  expect(crossTable(report.map, report.experts)).toEqual([
    [0, 1, 0],
    [0, 2, 0],
    [1, 0, 0],
  ]);
});

it('losses are shares of errors, or nats', () => {
  expect(lossText(0.1234, 'error')).toBe('12.3 %');
  expect(lossText(0.1234, 'nats')).toBe('0.123 nats');
  expect(intervalText([0.1, 0.2], 'error')).toBe('10.0 to 20.0 %');
  expect(intervalText([0.1, 0.2], 'nats')).toBe('0.100 to 0.200');
  expect(intervalText(null, 'nats')).toBeUndefined();
});

const row = { name: 'r', version: '2', task: 't', experts: [], hidden: 0, activation: null };

it.each([
  [{}, 'Decides since 29/11/2026, '],
  [
    { previous: 'r@1', comparison: 'sha256:a' },
    ', in the place of r@1: a comparison on measured prompts passed',
  ],
  [{ previous: 'r@1', reason: 'Prices changed.' }, ', in the place of r@1: Prices changed.'],
  [{ previous: 'r@3', rolledBack: 'r@3', reason: 'It was rude.' }, ', as r@3 was taken back: It was rude.'],
])('activationText says of %j how it came to decide', (given, expected) => {
  const activation = {
    ...{ at: '2026-11-29T12:00:00Z', previous: null, rolledBack: null, comparison: null, reason: null },
    ...given,
  };
  const text = activationText({ ...row, active: true, activation });
  expect(text).toContain(expected);
  expect(text).toMatch(/^Decides since 29/);
});

it('routerChoices says which one decides', () => {
  expect(
    routerChoices([
      { ...row, active: true },
      { ...row, version: '1', active: false },
    ]),
  ).toEqual([
    { value: 'r@2', label: 'r@2 · t' },
    { value: 'r@1', label: 'r@1 · t · not active' },
  ]);
});

describe('placeLabels', () => {
  const frame = { left: 0, right: 300, top: 0, bottom: 200 };

  it('writes a name beside its point, to the left where the frame ends', () => {
    const [first, second] = placeLabels(
      [
        { label: 'first', left: 50, top: 50 },
        { label: 'second', left: 280, top: 150 },
      ],
      [],
      frame,
    );
    expect(first?.at).toEqual({ left: 59, top: 54, anchor: 'start' });
    expect(second?.at).toEqual({ left: 271, top: 154, anchor: 'end' });
  });

  it('keeps off the line and off other names, and leaves out what has no room', () => {
    const line = [
      { left: 50, top: 50 },
      { left: 150, top: 50 },
    ];
    const crowd = Array.from({ length: 12 }, () => ({ label: 'crowded', left: 100, top: 50 }));
    const placed = placeLabels([{ label: 'on the line', left: 50, top: 50 }, ...crowd], line, frame);
    expect(placed[0]?.at?.top).not.toBe(54);
    const tops = placed.flatMap(({ at }) => (at ? [`${at.top} ${at.anchor}`] : []));
    expect(new Set(tops).size).toBe(tops.length);
    expect(placed.some(({ at }) => at === undefined)).toBe(true);
  });
});

describe('plotScale', () => {
  it.each([
    [0, 0.93, [0, 0.2, 0.4, 0.6, 0.8], '0.2'],
    [0, 6.01, [0, 2, 4, 6], '2'],
    [21.2, 38.4, [25, 30, 35], '30'],
    [0, 0, [0, 0.2, 0.4, 0.6, 0.8, 1], '0.2'],
  ])('from %d to %d has round ticks', (low, high, ticks, second) => {
    const scale = plotScale(low, high, 100, 200);
    expect(scale.ticks).toEqual(ticks);
    expect(tickText(scale.ticks[1]!, scale)).toBe(second);
    expect(scale.at(scale.low)).toBe(100);
    expect(scale.at(scale.high)).toBe(200);
  });
});
