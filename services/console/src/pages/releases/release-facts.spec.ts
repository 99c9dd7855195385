import { describe, expect, it } from 'vitest';
import type {
  Flip,
  Release,
  ReleaseState,
  RuleStanding,
  RuleStatus,
  SliceFigures,
  TestReading,
} from '../../api/release-types.js';
import {
  ageText,
  digestText,
  flipsLike,
  mayBeApproved,
  percentText,
  placeOf,
  rateText,
  repairState,
  rulesToShow,
  shareTicks,
  slicesToShow,
  stepName,
  stepShare,
  stopsOf,
  testNames,
  testState,
  trafficText,
  weightText,
  whoText,
} from './release-facts.js';

const NOW = Date.parse('2026-11-29T12:00:00Z');
const PLAN = {
  steps: [0.05, 0.25, 1],
  negativeFlipBudget: 0.01,
  minimumSamples: 100,
  stepSeconds: 300,
  mirrorShare: 0.1,
  disagreementLimit: 0.2,
  errorLimit: 0.01,
  latencyTolerance: 0.5,
  level: 0.05,
};
const path = (...states: ReleaseState[]) =>
  states.map((state) => ({ state, at: '2026-11-29T11:00:00Z', by: 'gate', reason: '', evidence: [] }));
const release = (states: ReleaseState[], more: Partial<Release> = {}): Release => ({
  ...{
    id: 'duo-2-1',
    expert: 'duo',
    fromVersion: '1',
    toVersion: '2',
    weight: 0,
    comparison: null,
    gate: null,
  },
  ...{ plan: PLAN, step: 0, stopped: '', waitingFor: '', live: null, probes: null, repair: null },
  state: states.at(-1) ?? 'draft',
  history: path(...states),
  ...more,
});
const said = (own: Release) => stopsOf(own).map(({ label, status }) => `${label} ${status}`);

describe('the way of a release', () => {
  it('has the steps that were taken and those of the plan', () => {
    expect(said(release(['draft', 'compared', 'shadow', 'canary', 'canary'], { step: 2 }))).toEqual([
      'Draft done',
      'Compared done',
      'Shadow done',
      '5 % done',
      '25 % now',
      '100 % ahead',
      'Stable ahead',
    ]);
    expect(said(release(['draft', 'compared'])).slice(0, 3)).toEqual([
      'Draft done',
      'Compared now',
      'Shadow ahead',
    ]);
  });

  it('is whole when it is stable, also where a person skipped steps', () => {
    const stops = stopsOf(release(['draft', 'shadow', 'stable']));
    expect(stops.map(({ status }) => status)).toEqual(stops.map(() => 'done'));
  });

  it('ends where it was taken back, and has no shadow where none was planned', () => {
    expect(said(release(['draft', 'shadow', 'canary', 'rolled_back']))).toEqual([
      'Draft done',
      'Shadow done',
      '5 % done',
      'Rolled back back',
    ]);
    expect(said(release(['draft'], { plan: { ...PLAN, mirrorShare: 0 } })).slice(0, 2)).toEqual([
      'Draft now',
      '5 % ahead',
    ]);
    expect(said(release(['draft', 'stable', 'rolled_back'])).at(-2)).toBe('Stable done');
  });

  it('names each canary by its weight', () => {
    expect(stepName(path('draft', 'canary', 'canary'), PLAN.steps)).toBe('Canary, 25 %');
    expect(stepName(path('draft', 'canary', 'rolled_back'), PLAN.steps)).toBe('Rolled back');
    expect(stepName([], PLAN.steps)).toBe('');
  });

  it('counts samples of a step where somebody counts', () => {
    const live = {
      ...{ mirrored: 0, stableRequests: 0, candidateRequests: 0, feedback: 0, probed: 7, tests: [] },
      stepSamples: 25,
    };
    expect(stepShare(release(['shadow'], { live }))).toBe(0.25);
    expect(stepShare(release(['canary'], { live: { ...live, stepSamples: 900 } }))).toBe(1);
    expect(stepShare(release(['canary']))).toBeUndefined();
    expect(stepShare(release(['stable'], { live }))).toBeUndefined();
  });

  it('says who is asked: callers, mirrored requests, probes', () => {
    expect(trafficText(release(['shadow']))).toBe('10 % of the requests are mirrored');
    expect(trafficText(release(['canary'], { weight: 0.25 }))).toBe('25 % of the callers get the candidate');
    const probes = { digest: 'sha256:a', items: 1_200 };
    expect(trafficText(release(['shadow'], { probes }))).toContain(
      'mirrored; 0 of 1,200 probes are answered',
    );
  });

  it('has a shadow for its probes, where nothing is mirrored', () => {
    const plan = { ...PLAN, mirrorShare: 0 };
    expect(said(release(['draft'], { plan }))).not.toContain('Shadow ahead');
    expect(said(release(['draft'], { plan, probes: { digest: 'sha256:a', items: 9 } }))).toContain(
      'Shadow ahead',
    );
  });

  it('is as old as its first step', () => {
    expect(ageText(release(['draft']), NOW)).toBe('1 h');
    expect(ageText({ history: [] }, NOW)).toBe('–');
  });
});

describe('a repair', () => {
  const repair = { job: 'j', parameters: {}, by: 'k', at: null, replacedVersion: '2', ended: false };
  const stateOf = (states: ReleaseState[], ended: boolean) =>
    repairState(release(states, { repair: { ...repair, ended } }));

  it('runs, took the place of the candidate, gave nothing, or was overtaken', () => {
    expect(repairState(release(['draft', 'compared']))).toBeUndefined();
    expect(stateOf(['draft', 'compared'], false)).toBe('running');
    expect(stateOf(['draft', 'compared', 'repaired'], true)).toBe('taken');
    expect(stateOf(['draft', 'compared', 'repaired', 'shadow', 'rolled_back'], true)).toBe('taken');
    expect(stateOf(['draft', 'compared'], true)).toBe('left');
    expect(stateOf(['draft', 'compared', 'shadow'], false)).toBe('overtaken');
    expect(stateOf(['draft', 'rolled_back'], false)).toBe('overtaken');
  });
});

describe('figures', () => {
  it('have the digits that they need', () => {
    expect([0, 0.0032, 0.0999, 0.1, 1].map(percentText)).toEqual([
      '0.0 %',
      '0.32 %',
      '9.99 %',
      '10.0 %',
      '100.0 %',
    ]);
    expect([0.05, 0.005, 1, 0].map(weightText)).toEqual(['5 %', '0.5 %', '100 %', '0 %']);
    expect(rateText({ count: 1, value: 0.01, low: 0.001, high: 0.2 })).toBe('1.00 % (0.10 % to 20.0 %)');
  });

  it('of tests are broken, kept or open', () => {
    const reading: TestReading = {
      ...{ test: 'mirror.errors', trials: 10, events: 1, rate: 0.1, low: 0, high: 0.4, limit: 0.2 },
      ...{ pValue: 1, alarm: false },
    };
    expect(testState(reading)).toBe('open');
    expect(testState({ ...reading, high: 0.2 })).toBe('kept');
    expect(testState({ ...reading, high: 0, trials: 0 })).toBe('open');
    expect(testState({ ...reading, alarm: true })).toBe('broken');
    expect(testNames('mirror.flips').title).toBe('Negative flips');
    expect(testNames('of.tomorrow').title).toBe('of.tomorrow');
  });

  it('say who and what in short', () => {
    expect(['gate', 'cli', 'k1', ''].map(whoText)).toEqual([
      'the gate',
      'the command line',
      'key k1',
      'unknown',
    ]);
    expect(digestText(`sha256:${'a'.repeat(64)}`)).toBe('sha256:aaaaaaaaaa…');
    expect(digestText('other')).toBe('other');
  });
});

describe('the picture of flips', () => {
  const rate = (value: number, low: number) => ({ count: 0, value, low, high: 1 });
  const slice = (name: string, value: number, low: number): SliceFigures => ({
    ...{ slice: name, n: 10, oldAccuracy: rate(1, 1), newAccuracy: rate(1, 1), positiveFlips: rate(0, 0) },
    ...{ negativeFlips: rate(value, low), backwardTrust: 1, mcnemarP: 1 },
  });

  it('has all items first, then slices that are worst beyond doubt', () => {
    const slices = [slice('a', 0.5, 0), slice('b', 0.1, 0.05), slice('c', 0.9, 0)];
    expect(slicesToShow(slice('', 0, 0), slices).map((row) => row.slice)).toEqual(['', 'b', 'c', 'a']);
    expect(slicesToShow(null, [])).toEqual([]);
  });

  it('gives small shares room and names some of them without touching', () => {
    expect([0, 0.25, 1, 2].map((share) => placeOf(share, 1))).toEqual([0, 0.5, 1, 1]);
    for (const longest of [0.004, 0.02, 0.1, 0.33, 1]) {
      const ticks = shareTicks(longest);
      expect(ticks[0]).toBe(0);
      expect(ticks.length).toBeGreaterThan(2);
      const places = ticks.map((tick) => placeOf(tick, longest));
      for (const [at, place] of places.slice(1).entries())
        expect(place - places[at]!).toBeGreaterThanOrEqual(0.11);
    }
  });
});

describe('flipped items', () => {
  const FLIPS: Flip[] = [
    { id: 'a-1', negative: true, label: 'card', oldPrediction: 'card', newPrediction: 'cash' },
    { id: 'a-2', negative: false, label: 'cash', oldPrediction: 'card', newPrediction: 'cash' },
    { id: 'b-3', negative: true, label: 'loan', oldPrediction: 'loan', newPrediction: 'fee' },
  ];
  const ids = (...look: [Parameters<typeof flipsLike>[1], string]) =>
    flipsLike(FLIPS, ...look).map(({ id }) => id);

  it('are found by kind, id and answer', () => {
    expect(ids('all', '')).toEqual(['a-1', 'a-2', 'b-3']);
    expect(ids('negative', '')).toEqual(['a-1', 'b-3']);
    expect(ids('positive', '')).toEqual(['a-2']);
    expect(ids('all', ' CASH ')).toEqual(['a-1', 'a-2']);
    expect(ids('negative', 'b-')).toEqual(['b-3']);
  });
});

describe('the rules of a gate', () => {
  const rule = (name: string, status: RuleStatus, more: Partial<RuleStanding> = {}): RuleStanding => ({
    ...{ rule: name, status, measure: 'nfr', data: 'offline', sentence: '', approvals: 0, ...more },
  });

  it('come with those first that keep the candidate back, else in the order of the document', () => {
    const statuses = ['passed', 'pending', 'failed', 'pending', 'inconclusive'] as const;
    const rules = statuses.map((status, at) => rule('abcde'.charAt(at), status));
    expect(rulesToShow(rules).map((own) => own.rule)).toEqual(['c', 'e', 'b', 'd', 'a']);
  });

  it('may be approved while one that people can let pass is inconclusive, and none of the state failed', () => {
    const may = (state: ReleaseState, ...rules: readonly RuleStanding[]) =>
      mayBeApproved({ state, gate: { name: 'g', digest: '', rules, approvals: [] } });
    const open = rule('a', 'inconclusive', { approvals: 2 });
    expect(may('compared', open)).toBe(true);
    expect(may('draft', rule('a', 'inconclusive', { measure: 'approvals', data: 'approvals' }))).toBe(true);
    expect(may('shadow', { ...open, data: 'shadow' })).toBe(true);
    for (const [state, ...rules] of [
      ['compared', rule('a', 'inconclusive')],
      ['compared', open, rule('b', 'failed')],
      ['compared', { ...open, data: 'shadow' }],
      ['shadow', open],
      ['canary', { ...open, data: 'shadow' }],
      ['rolled_back', open],
    ] as const)
      expect(may(state, ...rules)).toBe(false);
    expect(mayBeApproved({ state: 'compared', gate: null })).toBe(false);
  });
});
