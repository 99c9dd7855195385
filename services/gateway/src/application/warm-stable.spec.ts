import { describe, expect, it } from 'vitest';
import { WarmStable } from './warm-stable.js';

function promotion() {
  const ready = new Set<string>();
  const registered = new Set(['a@1', 'a@2', 'a@3']);
  const warm = new WarmStable(
    { version: (expert, version) => (registered.has(`${expert}@${version}`) ? ({} as never) : undefined) },
    { hostsFor: (expert, version) => (ready.has(`${expert}@${version}`) ? [{} as never] : []) },
  );
  return { ready, registered, warm };
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
});
