import { create } from '@bufbuild/protobuf';
import { parseGate, type GateDocument } from '@thalamus/compatibility';
import { eventsV1, releaseV1 } from '@thalamus/contracts';
import { beforeEach, describe, expect, it } from 'vitest';
import { releaseRecord } from '../../../test/release-record.js';
import { LiveEvidence } from './live-evidence.js';

const IDS = { tenant: 'acme', releaseId: 'r', expert: 'pico' };
type Change<T> = Partial<Omit<T, '$typeName' | '$unknown'>>;
let count = 0;
const mirrored = (change: Change<eventsV1.ShadowCompared> = {}) =>
  create(eventsV1.ShadowComparedSchema, {
    ...IDS,
    ...{ requestId: `m${++count}`, stableVersion: '1', candidateVersion: '2', agree: true },
    ...{ stableLabel: 'a', candidateLabel: 'a', stableMs: 5, candidateMs: 5 },
    ...change,
  });
const completed = (version: string, change: Change<eventsV1.RequestCompleted> = {}) =>
  create(eventsV1.RequestCompletedSchema, {
    ...IDS,
    ...{ requestId: `c${++count}`, version, operation: 'classifications', answerLabel: 'a' },
    ...{ channel: version === '1' ? 'stable' : 'candidate', timingsMs: { infer: 5 } },
    ...change,
  });
const given = (requestId: string, change: { label?: string; score?: number }) =>
  create(eventsV1.FeedbackGivenSchema, { tenant: 'acme', requestId, ...change });

describe('evidence from live traffic', () => {
  let evidence: LiveEvidence;
  const make = () => {
    evidence = new LiveEvidence(releaseRecord());
    evidence.inStep('shadow', true, 0);
  };
  beforeEach(make);
  const test = (name: string) =>
    evidence.reading.tests.find((reading) => reading.test === name) as releaseV1.TestReading;
  const broken = () => evidence.reading.tests.filter(({ alarm }) => alarm).map((reading) => reading.test);

  it('counts a flip when the right label was that of the stable version alone', () => {
    const differs = { agree: false, candidateLabel: 'b' };
    for (const [change, label] of [
      [{}, 'a'],
      [differs, 'a'],
      [differs, 'b'],
      [differs, 'c'],
    ] as const) {
      const event = mirrored(change);
      evidence.mirrored(event, 1);
      evidence.given(given(event.requestId, { label }));
      // Told twice, it counts once.
      evidence.given(given(event.requestId, { label }));
    }
    expect(test('mirror.flips')).toMatchObject({ events: 1n, trials: 4n });
    expect(evidence.reading.feedback).toBe(4n);
  });

  it('takes a good score for a flip where the candidate says something else', () => {
    const event = mirrored({ agree: false, candidateLabel: 'b' });
    evidence.given(given(event.requestId, { score: 1 }));
    evidence.mirrored(event, 1);
    expect(test('mirror.flips')).toMatchObject({ events: 1n, trials: 1n });
  });

  it.each([
    ['mirror.disagreement', () => mirrored({ agree: false, candidateLabel: 'b' })],
    [
      'mirror.errors',
      () => mirrored({ agree: false, candidateLabel: '', candidateErrorCode: 'INFERENCE_FAILED' }),
    ],
    ['mirror.latency', () => mirrored({ candidateMs: 20 })],
  ])('breaks %s when every mirrored request speaks against the candidate', (name, make1) => {
    for (let i = 0; i < 60; i++) evidence.mirrored(make1(), 1);
    expect(broken()).toEqual([name]);
  });

  it.each([
    ['canary.errors', { errorCode: 'INFERENCE_FAILED' }, undefined],
    ['canary.errors canary.failures', { candidateErrorCode: 'INFERENCE_FAILED', version: '1' }, undefined],
    ['canary.latency', { timingsMs: { infer: 20 } }, undefined],
    ['canary.quality', {}, 0],
  ])('breaks %s when %j are the requests of the candidate', (name, change, score) => {
    for (let i = 0; i < 60; i++) {
      const own = [completed('1'), completed('2', change)];
      for (const event of own) evidence.completed(event, 1);
      if (score === undefined) continue;
      evidence.given(given(own[0]!.requestId, { score: 1 }));
      evidence.given(given(own[1]!.requestId, { score }));
    }
    expect(broken().join(' ')).toBe(name);
  });

  it('says nothing of requests that are of other versions, that name a version, or that failed for want of room', () => {
    evidence.mirrored(mirrored({ candidateVersion: '3' }), 1);
    evidence.mirrored(mirrored({ candidateErrorCode: 'EXPERT_OVERLOADED' }), 1);
    evidence.completed(completed('2', { channel: 'pinned' }), 1);
    evidence.completed(completed('3'), 1);
    evidence.completed(completed('2', { expert: 'other' }), 1);
    const { mirrored: seen, stableRequests, candidateRequests } = evidence.reading;
    expect([seen, stableRequests, candidateRequests]).toEqual([0n, 0n, 0n]);
  });

  it('does not hold texts against each other, nor the slow first answers of what was just loaded', () => {
    for (let i = 0; i < 200; i++)
      evidence.mirrored(
        mirrored({ agree: false, stableLabel: '', candidateLabel: '', candidateMs: i < 20 ? 500 : 5 }),
        1,
      );
    expect(broken()).toEqual([]);
  });

  it('counts for a step what comes from its beginning on', () => {
    evidence.mirrored(mirrored(), 1);
    evidence.inStep('canary/1', false, 10);
    expect(evidence.reading.stepSamples).toBe(0n);
    evidence.completed(completed('2'), 9);
    evidence.completed(completed('1'), 11);
    evidence.completed(completed('2'), 11);
    expect(evidence.reading).toMatchObject({ stepSamples: 1n, candidateRequests: 2n, mirrored: 1n });
  });

  it('takes few sound candidates back over a long rollout', () => {
    let state = 7;
    // The minimal standard generator of Park and Miller.
    const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    let alarms = 0;
    for (let run = 0; run < 60; run++) {
      make();
      for (let i = 0; i < 400; i++) {
        const differs = random() < 0.1;
        const event = mirrored({
          ...{ agree: !differs, candidateLabel: differs ? 'b' : 'a' },
          ...{ stableMs: 4 + 2 * random(), candidateMs: 4 + 2 * random() },
        });
        evidence.mirrored(event, 1);
        // Wherever they differ it is the candidate that is right, but for half a percent of all.
        evidence.given(given(event.requestId, { label: random() < 0.05 ? 'a' : differs ? 'b' : 'a' }));
        const failure = () => (random() < 0.05 ? { errorCode: 'INFERENCE_FAILED' } : {});
        evidence.completed(completed('1', failure()), 1);
        evidence.completed(completed('2', failure()), 1);
      }
      if (evidence.isBroken) alarms += 1;
    }
    // Five of a hundred at the most, and chance.
    expect(alarms).toBeLessThanOrEqual(7);
  });

  describe('with labelled probes', () => {
    const probed = (rules?: GateDocument) => {
      const release = releaseRecord();
      const probes = create(releaseV1.ReleaseProbesSchema, { items: 500 });
      return new LiveEvidence({ ...release, details: { ...release.details, probes } }, rules);
    };
    const answered = (item: string, stableRight: boolean, candidateRight: boolean, candidateVersion = '2') =>
      create(eventsV1.ProbeAnsweredSchema, {
        ...{ releaseId: 'r', stableVersion: '1', candidateVersion, item, stableRight, candidateRight },
      });
    beforeEach(() => {
      evidence = probed();
      evidence.inStep('shadow', true, 0);
    });

    it('counts each item once, and a flip only where the stable version was right', () => {
      for (const [at, [before, after]] of [
        [true, true],
        [true, false],
        [false, true],
        [false, false],
      ].entries()) {
        evidence.probed(answered(`q${at}`, before!, after!));
        // Two updaters asked it, and the second heard otherwise.
        evidence.probed(answered(`q${at}`, true, false));
      }
      evidence.probed(answered('other', true, false, '3'));
      expect(test('probe.flips')).toMatchObject({ trials: 4n, events: 1n, limit: 0.01 });
      expect(evidence.reading).toMatchObject({ probed: 4n, mirrored: 0n, stepSamples: 4n });
      expect(evidence.probes?.lost).toEqual(['q1']);
      expect([evidence.probes?.has('q3'), evidence.probes?.has('q4')]).toEqual([true, false]);
    });

    it('is a sample of SHADOW, and of no step in which callers get the candidate', () => {
      evidence.probed(answered('q0', true, true));
      evidence.inStep('canary/1', false, 10);
      for (let at = 1; at < 50; at++) evidence.probed(answered(`q${at}`, true, true));
      expect(evidence.reading).toMatchObject({ stepSamples: 0n, probed: 50n });
      expect(evidence.readings.length).toBeGreaterThan(5);
    });

    it('takes a candidate back by probes alone, and shares the level among one test more', () => {
      for (let at = 0; !evidence.isBroken; at++) evidence.probed(answered(`q${at}`, true, at % 5 !== 0));
      expect(broken()).toEqual(['probe.flips']);
      expect(test('probe.flips').pValue).toBeLessThanOrEqual(0.05 / 9);
      expect(test('probe.flips').trials).toBeLessThan(40n);
    });

    it('raises few false alarms when a candidate flips as much as is allowed', () => {
      let state = 11;
      const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
      let alarms = 0;
      for (let run = 0; run < 100; run++) {
        evidence = probed();
        for (let at = 0; at < 500; at++) evidence.probed(answered(`q${at}`, true, random() >= 0.01));
        if (evidence.isBroken) alarms += 1;
      }
      // A ninth of five in a hundred: 0.6 of 100 at the most; five come by chance once in two thousand.
      expect(alarms).toBeLessThanOrEqual(4);
    });

    it('is watched by a rule about probes in place of the test of the plan', () => {
      evidence = probed(
        parseGate(
          'version: 1\nname: g\nrules:\n  - { name: known, measure: flips, data: probes, threshold: 0.3 }\n',
          'g',
        ),
      );
      for (let at = 0; at < 40; at++) evidence.probed(answered(`q${at}`, true, at % 5 !== 0));
      expect(evidence.reading.tests.map((own) => own.test)).not.toContain('probe.flips');
      expect(test('known')).toMatchObject({ trials: 40n, events: 8n, limit: 0.3, alarm: false });
      expect(evidence.figures['probes']?.flips).toMatchObject({ value: 0.2, n: 40 });
    });

    it('says nothing of probes where a release has none', () => {
      make();
      evidence.probed(answered('q', true, false));
      expect(evidence.reading.tests.map((own) => own.test)).not.toContain('probe.flips');
      expect(evidence.reading.probed).toBe(0n);
    });
  });

  describe('with a gate', () => {
    const watched = parseGate(
      `version: 1
name: g
rules:
  - { name: tail, measure: slowTail, data: shadow, threshold: 0.15 }
  - { name: slow, measure: slower, data: canary, threshold: 0.6 }
  - { name: disliked, measure: worse, data: canary, threshold: 0.6 }
  - { name: failures, measure: errorRate, data: canary, threshold: 0.1, level: 0.001 }
`,
      'g',
    );
    beforeEach(() => {
      evidence = new LiveEvidence(releaseRecord(), watched);
    });
    const names = () => evidence.reading.tests.map((reading) => reading.test);

    it('has a test for each rule, in place of the one of the plan about the same', () => {
      expect(names()).toEqual([
        ...['mirror.flips', 'mirror.disagreement', 'mirror.errors', 'mirror.latency'],
        ...['tail', 'slow', 'disliked', 'failures'],
      ]);
      expect(test('slow')).toMatchObject({ trials: 0n, limit: 0.6, alarm: false });
    });

    it('sees a tail of slow requests that pairs do not see', () => {
      for (let at = 0; at < 400; at++)
        evidence.mirrored(mirrored({ stableMs: 5 + (at % 5), candidateMs: at % 4 === 0 ? 30 : 5 }), 1);
      expect(broken()).toEqual(['tail']);
      // 20 to warm up, and 100 of the stable version to know what is usual.
      expect(test('tail').trials).toBe(280n);
      expect(evidence.figures['shadow']?.slowTail).toMatchObject({ n: 280 });
    });

    it('sees no tail where both are alike', () => {
      for (let at = 0; at < 2_000; at++)
        evidence.mirrored(
          mirrored({ stableMs: 1 + ((at * 37) % 101), candidateMs: 1 + ((at * 53) % 101) }),
          1,
        );
      expect(test('tail').rate).toBeLessThan(0.08);
      expect(broken()).toEqual([]);
    });

    it('counts failures, slowness and worse answers of a canary', () => {
      evidence.inStep('canary', false, 0);
      for (let at = 0; at < 60; at++) {
        for (const [version, ms, label] of [
          ['1', 5, 'a'],
          ['2', 9, 'b'],
        ] as const) {
          const event = completed(version, { timingsMs: { infer: ms }, answerLabel: label });
          evidence.completed(event, 1);
          evidence.given(given(event.requestId, { label: 'a' }));
        }
      }
      expect(test('slow')).toMatchObject({ trials: 40n, events: 40n, alarm: true });
      expect(test('disliked')).toMatchObject({ trials: 60n, events: 60n, alarm: true });
      expect(test('failures')).toMatchObject({ trials: 60n, events: 0n, alarm: false });
      for (let at = 0; at < 6; at++) evidence.completed(completed('2', { errorCode: 'INFERENCE_FAILED' }), 1);
      expect(test('failures')).toMatchObject({ trials: 66n, events: 6n, alarm: false });
    });
  });
});
