import type { RegistryListener } from '@thalamus/registry';
import { describe, expect, it } from 'vitest';
import { WarmStable } from './warm-stable.js';

function promotion() {
  const ready = new Set<string>();
  const registered = new Set(['a@1', 'a@2', 'a@3']);
  const listeners = new Set<RegistryListener>();
  const warm = new WarmStable(
    {
      version: (expert, version) => (registered.has(`${expert}@${version}`) ? ({} as never) : undefined),
      experts: () => [{ name: 'a', stable: '1' } as never],
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    { hostsFor: (expert, version) => (ready.has(`${expert}@${version}`) ? [{} as never] : []) },
  );
  /** The registry says so: a version of the stable channel, or that the expert is gone. */
  const tell = (stable: string | undefined) => {
    const resource = stable && { value: { case: 'expert', value: { stable } } };
    for (const listener of listeners) listener('expert/a', resource as never);
  };
  return { ready, registered, warm, tell, listeners };
}

describe('the version that answers for the stable channel', () => {
  it('is the one before until a host has the new one', () => {
    const { ready, warm } = promotion();
    ready.add('a@1');
    expect(warm.version('a', '1')).toBe('1');
    expect(warm.version('a', '2')).toBe('1');
    ready.add('a@2');
    expect(warm.version('a', '2')).toBe('2');
    ready.delete('a@2');
    expect(warm.version('a', '2')).toBe('2');
  });

  it('is the stable one when no version was ready before, or that is gone', () => {
    const { ready, registered, warm } = promotion();
    expect(warm.version('a', '2')).toBe('2');
    ready.add('a@1');
    expect(warm.version('a', '1')).toBe('1');
    registered.delete('a@1');
    expect(warm.version('a', '2')).toBe('2');
    registered.add('a@1');
    ready.delete('a@1');
    expect(warm.version('a', '2')).toBe('2');
  });

  it('goes back the same way', () => {
    const { ready, warm } = promotion();
    ready.add('a@2');
    expect(warm.version('a', '2')).toBe('2');
    expect(warm.version('a', '1')).toBe('2');
    ready.add('a@1');
    expect(warm.version('a', '1')).toBe('1');
  });

  it('is the one before also where nobody asked for that', async () => {
    const { ready, warm, tell, listeners } = promotion();
    await warm.start();
    ready.add('a@1');
    tell('2');
    expect(warm.version('a', '2')).toBe('1');
    // Another change before the second was ever warm.
    tell('3');
    expect(warm.version('a', '3')).toBe('1');
    ready.add('a@3');
    expect(warm.version('a', '3')).toBe('3');
    await warm.close();
    expect(listeners.size).toBe(0);
  });

  it('is not one of an expert that was removed and came back', async () => {
    const { ready, warm, tell } = promotion();
    await warm.start();
    ready.add('a@1');
    tell('2');
    tell(undefined);
    tell('3');
    expect(warm.version('a', '3')).toBe('3');
  });
});
