import { create } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { registryV1, releaseV1 } from '@thalamus/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { releaseRecord } from '../../../test/release-record.js';
import { nextMove, onward } from './next-move.js';
import { planOf } from './release-plan.js';
import { expertAfter, hasTraffic, isLive, LEASE_MS, moved, type ReleaseRecord } from './release-states.js';

const { ReleaseState } = releaseV1;
const { DRAFT, COMPARED, REPAIRED, SHADOW, CANARY, STABLE, ROLLED_BACK } = ReleaseState;
const STATES = [DRAFT, COMPARED, REPAIRED, SHADOW, CANARY, STABLE, ROLLED_BACK];
const why = (atMs = 2_000) => ({ by: 'ada', reason: 'because', atMs });
const to = (...states: releaseV1.ReleaseState[]) =>
  states.reduce(
    (release, state) => moved(release, state, why(), { step: state === CANARY ? 1 : 0 }),
    releaseRecord(),
  );
const expert = create(registryV1.ExpertSchema, { name: 'pico', stable: '1' });
const situation = { heldMs: 0, isReady: true, isRegistered: true, live: undefined };
const live = (stepSamples: number, alarm = false) =>
  create(releaseV1.LiveReadingSchema, {
    stepSamples: BigInt(stepSamples),
    tests: [{ test: 'mirror.flips', events: 3n, trials: 4n, limit: 0.01, low: 0.2, pValue: 1e-4, alarm }],
  });

describe('the states of a release', () => {
  it('lead to the end whichever way is taken, keep who and why, and never leave the end', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...STATES), { maxLength: 12 }), (wanted) => {
        let release: ReleaseRecord = releaseRecord();
        for (const state of wanted) {
          const before = release;
          try {
            release = moved(before, state, why(), { step: state === CANARY ? 1 : 0 });
          } catch {
            expect(release).toBe(before);
            continue;
          }
          expect(before.details.state).not.toBe(ROLLED_BACK);
          expect(release.details.history.length).toBe(before.details.history.length + 1);
          expect(release.details.history.at(-1)).toMatchObject({ state, by: 'ada', reason: 'because' });
          expect(release.leaseExpiresAt !== undefined).toBe(hasTraffic(state));
          expect(release.weight > 0).toBe(state === CANARY || state === STABLE);
          // Rolled back in one write: gateways obey it, and no host keeps the candidate for it.
          if (state === ROLLED_BACK)
            expect(release).toMatchObject({ weight: 0, mirrorShare: 0, state: 'ROLLED_BACK' });
        }
      }),
    );
  });

  it.each([
    [[SHADOW], DRAFT],
    [[SHADOW], COMPARED],
    [[SHADOW, CANARY], SHADOW],
    [[STABLE], CANARY],
    [[STABLE], STABLE],
    [[ROLLED_BACK], STABLE],
    [[ROLLED_BACK], ROLLED_BACK],
  ])('after %j refuse %j', (path, state) => {
    expect(() => moved(to(...path), state, why())).toThrow(/is already|cannot become|already/);
  });

  it('name on the expert what hosts have to load, and nothing once it is over', () => {
    const after = (before: releaseV1.ReleaseState, release: ReleaseRecord) => {
      const { stable, candidate, shadow } = expertAfter(expert, before, release);
      return { stable, candidate, shadow };
    };
    expect(after(DRAFT, to())).toEqual({ stable: '1', candidate: '', shadow: '2' });
    expect(after(DRAFT, to(SHADOW))).toEqual({ stable: '1', candidate: '', shadow: '2' });
    expect(after(SHADOW, to(SHADOW, CANARY))).toEqual({ stable: '1', candidate: '2', shadow: '' });
    expect(after(CANARY, to(SHADOW, CANARY, STABLE))).toEqual({ stable: '2', candidate: '', shadow: '' });
    expect(after(CANARY, to(SHADOW, CANARY, ROLLED_BACK))).toEqual({
      stable: '1',
      candidate: '',
      shadow: '',
    });
    const stopped = moved(to(), COMPARED, why(), { stopped: 'Incompatible.' });
    expect(after(DRAFT, stopped)).toEqual({ stable: '1', candidate: '', shadow: '' });
  });

  it('carry a lease from the moment that they give traffic', () => {
    const { leaseExpiresAt } = to(SHADOW);
    expect(leaseExpiresAt && timestampMs(leaseExpiresAt)).toBe(2_000 + LEASE_MS);
  });
});

describe('the next move of a release', () => {
  it('waits for a host, then for samples and time, and then goes on', () => {
    expect(nextMove(to(), { ...situation, isReady: false })).toMatchObject({ kind: 'wait' });
    expect(nextMove(to(), situation)).toMatchObject({ kind: 'go', state: SHADOW });
    const shadow = to(SHADOW);
    expect(nextMove(shadow, situation)).toMatchObject({
      kind: 'wait',
      reason: expect.stringContaining('being read') as string,
    });
    expect(nextMove(shadow, { ...situation, heldMs: 300_000, live: live(99) })).toMatchObject({
      kind: 'wait',
    });
    expect(nextMove(shadow, { ...situation, heldMs: 299_999, live: live(100) })).toMatchObject({
      kind: 'wait',
    });
    expect(nextMove(shadow, { ...situation, heldMs: 300_000, live: live(100) })).toMatchObject({
      ...{ kind: 'go', state: CANARY, step: 1 },
    });
  });

  it('goes back at once for a broken limit or a version that has gone, whatever it waits for', () => {
    for (const release of [to(SHADOW), to(SHADOW, CANARY)]) {
      expect(nextMove(release, { ...situation, isReady: false, live: live(0, true) })).toMatchObject({
        ...{ kind: 'back', reason: expect.stringContaining('mirror.flips: 3 of 4') as string },
      });
      expect(nextMove(release, { ...situation, isRegistered: false })).toMatchObject({ kind: 'back' });
    }
  });

  it('stays where it was stopped', () => {
    const stopped = moved(to(), COMPARED, why(), { stopped: 'Incompatible: 9 of 10.' });
    expect(nextMove(stopped, situation)).toEqual({ kind: 'wait', reason: 'Incompatible: 9 of 10.' });
    expect(isLive(stopped.details.state)).toBe(true);
  });

  it('takes each step in order, and has no shadow without a mirror', () => {
    const path: [releaseV1.ReleaseState, number][] = [];
    let release = releaseRecord({ mirrorShare: 0, steps: [0.1, 0.5] });
    while (isLive(release.details.state)) {
      const move = onward(release.details, 'on');
      if (move.kind !== 'go') throw new Error('it does not go on');
      release = moved(release, move.state, why(), { step: move.step });
      path.push([move.state, release.weight]);
    }
    expect(path).toEqual([
      [CANARY, 0.1],
      [CANARY, 0.5],
      [STABLE, 1],
    ]);
  });

  it('has a shadow for its probes, where nothing is mirrored', () => {
    const release = releaseRecord({ mirrorShare: 0 });
    const probed = { ...release.details, probes: create(releaseV1.ReleaseProbesSchema, { items: 9 }) };
    expect(onward(probed, 'on')).toMatchObject({ kind: 'go', state: SHADOW });
    expect(onward({ ...probed, state: SHADOW }, 'on')).toMatchObject({ kind: 'go', state: CANARY, step: 1 });
  });

  it('mirrors no chat: there would be no end to a shadow without samples', () => {
    const ask = (mirrorShare?: number) =>
      create(releaseV1.StartRequestSchema, mirrorShare === undefined ? {} : { mirrorShare });
    expect(planOf(ask(), 'text-generation').mirrorShare).toBe(0);
    expect(planOf(ask(), 'text-classification').mirrorShare).toBe(0.1);
    expect(() => planOf(ask(0.1), 'text-generation')).toThrow('not mirrored');
  });
});
