import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { RegistryListener } from '@thalamus/registry';
import { describe, expect, it } from 'vitest';
import { LiveReleases } from './live-releases.js';

function registry() {
  const state = { now: 1_000, stable: '1', isGone: false };
  const listeners = new Set<RegistryListener>();
  const kept = new Map<string, unknown>();
  const releases = new LiveReleases(
    {
      list: () => [...kept].map(([key, value]) => ({ key, value }) as never),
      expert: () => (state.isGone ? undefined : ({ stable: state.stable } as never)),
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    () => state.now,
  );
  /** The registry says so; nothing: that it is gone. */
  const tell = (id: string, summary: object | undefined) => {
    const value = summary && {
      case: 'release',
      value: {
        ...{ expert: 'a', fromVersion: '1', toVersion: '2', state: 'CANARY', weight: 0.5 },
        leaseExpiresAt: timestampFromMs(2_000),
        ...summary,
      },
    };
    kept.set(`release/${id}`, value);
    for (const listener of listeners) listener(`release/${id}`, value && ({ value } as never));
  };
  return { state, tell, releases, listeners };
}

describe('the live release of an expert', () => {
  it('is what the registry said before and says from then on', async () => {
    const { tell, releases, listeners } = registry();
    tell('r', {});
    expect(releases.of('a')).toBeUndefined();
    await releases.start();
    expect(releases.of('a')).toMatchObject({ id: 'r', weight: 0.5, toVersion: '2' });
    tell('r', { weight: 0.7 });
    expect(releases.of('a')?.weight).toBe(0.7);
    expect(releases.of('b')).toBeUndefined();
    tell('r', undefined);
    expect(releases.of('a')).toBeUndefined();
    await releases.close();
    expect(listeners.size).toBe(0);
  });

  it('has no weight in shadow, and is none in any other state', async () => {
    const { tell, releases } = registry();
    await releases.start();
    tell('r', { state: 'SHADOW', mirrorShare: 0.2 });
    expect(releases.of('a')).toMatchObject({ weight: 0, mirrorShare: 0.2 });
    tell('r', { state: 'CANARY' });
    expect(releases.of('a')).toMatchObject({ weight: 0.5 });
    for (const state of [
      'DRAFT',
      'COMPARED',
      'REPAIRED',
      'STABLE',
      'ROLLED_BACK',
      'UNSPECIFIED',
      '',
      'canary',
    ]) {
      tell('r', { state });
      expect(releases.of('a'), state).toBeUndefined();
    }
  });

  it('ends with its lease, without one at once, and goes on when that is renewed', async () => {
    const { state, tell, releases } = registry();
    await releases.start();
    tell('r', {});
    state.now = 1_999;
    expect(releases.of('a')).toBeDefined();
    state.now = 2_000;
    expect(releases.of('a')).toBeUndefined();
    tell('r', { leaseExpiresAt: timestampFromMs(3_000) });
    expect(releases.of('a')).toBeDefined();
    tell('r', { leaseExpiresAt: undefined });
    expect(releases.of('a')).toBeUndefined();
  });

  it('is none when another version has become stable, or the expert is gone', async () => {
    const { state, tell, releases } = registry();
    await releases.start();
    tell('r', {});
    state.stable = '2';
    expect(releases.of('a')).toBeUndefined();
    state.stable = '1';
    state.isGone = true;
    expect(releases.of('a')).toBeUndefined();
  });

  it('is the one that was heard of last, and the one before when that ends', async () => {
    const { tell, releases } = registry();
    await releases.start();
    tell('r', {});
    tell('s', { toVersion: '3' });
    const [first, second] = [
      { id: 'r', expert: 'a' },
      { id: 's', expert: 'a' },
    ] as never[];
    expect(releases.of('a')?.id).toBe('s');
    expect([releases.isLive(first!), releases.isLive(second!)]).toEqual([false, true]);
    tell('s', { state: 'ROLLED_BACK' });
    expect(releases.of('a')?.id).toBe('r');
    // It may move to another expert.
    tell('r', { expert: 'b' });
    expect([releases.of('a'), releases.of('b')?.id]).toEqual([undefined, 'r']);
  });
});
