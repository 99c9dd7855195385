import { create } from '@bufbuild/protobuf';
import { compareVersions, parseGate } from '@thalamus/compatibility';
import { releaseV1 } from '@thalamus/contracts';
import { describe, expect, it } from 'vitest';
import { firstStandings, openRules, standingsOf, stopOf } from './gate-standings.js';

const { ReleaseState, RuleStatus, Verdict } = releaseV1;
const gate = parseGate(
  `version: 1
name: g
rules:
  - { name: flips, measure: nfr, data: offline, threshold: 0.02, approvals: 2 }
  - { name: people, measure: approvals, data: canary, threshold: 1 }
  - { name: errors, measure: errorRate, data: shadow, threshold: 0.1, minimumSamples: 10, approvals: 1 }
`,
  'g',
);
const answers = (wrong: number) =>
  Array.from({ length: 50 }, (_, id) => ({
    ...{ id: String(id), label: 'a', slices: [] },
    prediction: id < wrong ? 'b' : 'a',
  }));
const found = (wrong: number) =>
  firstStandings(gate, { comparisons: { offline: compareVersions(answers(0), answers(wrong), 0.02) } });
const by = (name: string, state: releaseV1.ReleaseState) => ({ by: name, reason: 'seen', state });
const release = (
  state: releaseV1.ReleaseState,
  approvals: readonly { by: string; state: releaseV1.ReleaseState }[] = [],
  rules = found(0),
) => create(releaseV1.ReleaseSchema, { state, gate: { name: 'g', rules, approvals: [...approvals] } });
const statuses = (of: releaseV1.Release, errors?: { value: number; n: number; pValue: number }) =>
  standingsOf(gate, of, errors && { shadow: { errorRate: errors } }).shown.map(
    ({ status }) => RuleStatus[status],
  );

describe('how rules stand', () => {
  it('pending until their evidence comes, then as it says', () => {
    const few = { value: 0, n: 5, pValue: 1 };
    expect(statuses(release(ReleaseState.COMPARED))).toEqual(['INCONCLUSIVE', 'PENDING', 'PENDING']);
    expect(statuses(release(ReleaseState.SHADOW), few)).toEqual(['INCONCLUSIVE', 'PENDING', 'INCONCLUSIVE']);
    expect(statuses(release(ReleaseState.SHADOW), { ...few, n: 10 })[2]).toBe('PASSED');
    expect(statuses(release(ReleaseState.CANARY), { value: 1, n: 9, pValue: 0.001 })).toEqual([
      ...['INCONCLUSIVE', 'INCONCLUSIVE', 'FAILED'],
    ]);
    // What is not known now leaves them as they were.
    expect(statuses(release(ReleaseState.SHADOW))[2]).toBe('PENDING');
  });

  it('passed by so many different people in the state that a rule is about, and in no other', () => {
    const { COMPARED, SHADOW, CANARY } = ReleaseState;
    const of = (...people: readonly { by: string; state: releaseV1.ReleaseState }[]) =>
      statuses(release(COMPARED, people))[0];
    expect(of(by('a', COMPARED), by('a', COMPARED))).toBe('INCONCLUSIVE');
    expect(of(by('a', COMPARED), by('b', SHADOW))).toBe('INCONCLUSIVE');
    expect(of(by('a', COMPARED), by('b', ReleaseState.DRAFT))).toBe('PASSED');
    const few = { value: 0, n: 5, pValue: 1 };
    expect(statuses(release(SHADOW, [by('a', COMPARED)]), few)[2]).toBe('INCONCLUSIVE');
    expect(statuses(release(SHADOW, [by('a', SHADOW)]), few)[2]).toBe('PASSED');
    expect(statuses(release(CANARY, [by('a', CANARY)]), few)).toEqual([
      'INCONCLUSIVE',
      'PASSED',
      'INCONCLUSIVE',
    ]);
  });

  it('kept so that the people who lack are said once, however often it is looked at', () => {
    const first = standingsOf(
      gate,
      release(ReleaseState.COMPARED, [by('a', ReleaseState.COMPARED)]),
      undefined,
    );
    const again = standingsOf(
      gate,
      release(ReleaseState.COMPARED, [by('a', ReleaseState.COMPARED)], first.kept),
      undefined,
    );
    expect(again.shown[0]?.sentence).toBe(first.shown[0]?.sentence);
    expect(again.shown[0]?.sentence.match(/can approve it/g)).toHaveLength(1);
  });

  it('failed for good: nobody approves that', () => {
    const { COMPARED } = ReleaseState;
    const failed = release(COMPARED, [by('a', COMPARED), by('b', COMPARED)], found(30));
    expect(statuses(failed)[0]).toBe('FAILED');
    expect(openRules(standingsOf(gate, failed, undefined).shown, 'first').failed).toHaveLength(1);
  });
});

describe('why a release stops before any traffic', () => {
  const comparison = create(releaseV1.CompareResponseSchema, {
    ...{ verdict: Verdict.INCOMPATIBLE, reason: 'too many flips.' },
  });
  const only = (data: string) => ({
    gate: create(releaseV1.ReleaseGateSchema, {
      name: 'g',
      rules: found(0).filter((own) => own.data === data),
    }),
    comparison,
  });

  it('is the verdict of the budget without rules about offline, and what they say with them', () => {
    expect(stopOf({ comparison }, false)).toBe('Incompatible: too many flips.');
    expect(stopOf(only('shadow'), false)).toBe('Incompatible: too many flips.');
    expect(stopOf(only('offline'), false)).toContain('The gate g is inconclusive. flips: nfr of all items');
  });

  it('is nothing where it is overridden', () => {
    for (const given of [{ comparison }, only('shadow'), only('offline')])
      expect(stopOf(given, true)).toBe('');
  });
});
