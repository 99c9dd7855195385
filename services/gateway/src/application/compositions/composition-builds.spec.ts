import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import type { MadeComposition } from './composer.port.js';
import { CompositionBuilds, type Build, type BuildLimits, type BuildState } from './composition-builds.js';

const LIMITS: BuildLimits = { atOnce: 1, queue: 2, perTenant: 3, rememberMs: 1_000 };
const MADE: MadeComposition = { recipeDigest: 'sha256:1', expert: 'twin-1', version: '1' };
const ROOM = 100;

/** Builds whose makers wait until the test ends them. */
function setUp(limits: Partial<BuildLimits> = {}) {
  const made: string[] = [];
  const makers = new Map<string, PromiseWithResolvers<MadeComposition>>();
  const clock = { now: 0 };
  const builds = new CompositionBuilds(
    ({ key }, signal) => {
      made.push(key);
      const maker = Promise.withResolvers<MadeComposition>();
      signal.addEventListener('abort', () => {
        maker.reject(signal.reason as Error);
      });
      makers.set(key, maker);
      return maker.promise;
    },
    { ...LIMITS, ...limits },
    () => clock.now,
  );
  const ask = (key: string, tenant = 'acme', room = ROOM) =>
    builds.ask({ key, tenant, parents: [] } satisfies Build, room);
  return { builds, made, makers, clock, ask };
}

const ended = async (state: BuildState) => {
  if (state.kind !== 'begun') throw new Error(`not begun: ${state.kind}`);
  return state.outcome;
};

describe('CompositionBuilds', () => {
  it('makes a composition once for all who ask while it is made or waits, whatever their tenant', async () => {
    const { made, makers, ask } = setUp();
    const states = [ask('a'), ask('b'), ask('a', 'globex'), ask('b', 'globex')];
    expect(made).toEqual(['a']);
    makers.get('a')?.resolve(MADE);
    expect(await ended(states[0]!)).toEqual({ kind: 'made', made: MADE });
    expect(await ended(states[2]!)).toEqual({ kind: 'made', made: MADE });
    expect(made).toEqual(['a', 'b']);
    makers.get('b')?.resolve(MADE);
    await Promise.all([ended(states[1]!), ended(states[3]!)]);
    expect(made).toEqual(['a', 'b']);
  });

  it('makes as many at once as it may, lets as many wait, and begins no more', async () => {
    const { made, makers, ask } = setUp({ atOnce: 2, queue: 1, perTenant: 9 });
    const kinds = ['a', 'b', 'c', 'd'].map((key) => ask(key).kind);
    expect(kinds).toEqual(['begun', 'begun', 'begun', 'busy']);
    expect(made).toEqual(['a', 'b']);
    makers.get('b')?.resolve(MADE);
    await ended(ask('b'));
    expect(made).toEqual(['a', 'b', 'c']);
    expect(ask('d').kind).toBe('begun');
  });

  it('bounds what one tenant has under way, and takes the one with less of it first', async () => {
    const { made, makers, ask } = setUp({ atOnce: 2, queue: 5, perTenant: 3 });
    expect(['a1', 'a2', 'a3', 'a4'].map((key) => ask(key, 'acme').kind)).toEqual([
      'begun',
      'begun',
      'begun',
      'busy',
    ]);
    const late = ask('g1', 'globex');
    expect(late.kind).toBe('begun');
    const first = ask('a1');
    makers.get('a1')?.resolve(MADE);
    await ended(first);
    expect(made).toEqual(['a1', 'a2', 'g1']);
  });

  it('begins nothing when there is no room for what it makes, what is under way included', () => {
    const { made, ask } = setUp();
    expect(ask('a', 'acme', 1).kind).toBe('begun');
    expect(ask('b', 'acme', 1).kind).toBe('full');
    expect(ask('a', 'acme', 0).kind).toBe('begun');
    expect(made).toEqual(['a']);
  });

  it('remembers a failure for a while, then tries again', async () => {
    const { made, makers, clock, ask } = setUp();
    const first = ask('a');
    makers.get('a')?.reject(new ThalamusError('COMPOSITION_REFUSED', 'no'));
    expect(await ended(first)).toMatchObject({ kind: 'failed', error: { code: 'COMPOSITION_REFUSED' } });
    for (let request = 0; request < 100; request++)
      expect(ask('a')).toMatchObject({ kind: 'failed', error: { code: 'COMPOSITION_REFUSED' } });
    expect(made).toEqual(['a']);
    clock.now = 1_000;
    expect(ask('a').kind).toBe('begun');
    expect(made).toEqual(['a', 'a']);
  });

  it('leaves a composer alone for as long as it says', async () => {
    const { makers, clock, ask } = setUp();
    const first = ask('a');
    makers.get('a')?.reject(new ThalamusError('EXPERT_OVERLOADED', 'full', { retryAfterMs: 60_000 }));
    await ended(first);
    clock.now = 59_999;
    expect(ask('a').kind).toBe('failed');
    clock.now = 60_000;
    expect(ask('a').kind).toBe('begun');
  });

  it('leaves a build alone for four times as long as it ran before it failed', async () => {
    const { makers, clock, ask } = setUp();
    const first = ask('a');
    clock.now = 100_000;
    makers.get('a')?.reject(new ThalamusError('COMPOSITION_REFUSED', 'no'));
    await ended(first);
    clock.now = 499_999;
    expect(ask('a').kind).toBe('failed');
    clock.now = 500_000;
    expect(ask('a').kind).toBe('begun');
  });

  it('a failure lets the next one begin', async () => {
    const { made, makers, ask } = setUp();
    const states = [ask('a'), ask('b')];
    makers.get('a')?.reject(new Error('broken'));
    expect(await ended(states[0]!)).toMatchObject({ kind: 'failed', error: { code: 'INTERNAL' } });
    expect(made).toEqual(['a', 'b']);
  });

  it('ends what is under way when the gateway ends', async () => {
    const { builds, ask } = setUp();
    const state = ask('a');
    builds.close();
    expect(await ended(state)).toMatchObject({ kind: 'failed', error: { code: 'CANCELLED' } });
  });
});
