import { describe, expect, it } from 'vitest';
import { FairCache } from './fair-cache.js';

const filled = (capacity: number, ...kept: readonly (readonly [string, string])[]) => {
  const cache = new FairCache<string>(capacity);
  for (const [owner, key] of kept) cache.set(owner, key, `${owner} ${key}`);
  return cache;
};

describe('a fair cache', () => {
  it('gives all of its room to an owner that is alone, and takes what it has not used for longest', () => {
    const cache = filled(2, ['a', '1'], ['a', '2']);
    expect(cache.get('a', '1')).toBe('a 1');
    cache.set('a', '3', 'new');
    expect(['1', '2', '3'].map((key) => cache.get('a', key))).toEqual(['a 1', undefined, 'new']);
    expect(cache.size).toBe(2);
  });

  it('lets no owner take what another has within its share', () => {
    const cache = filled(4, ['a', '1'], ['a', '2']);
    for (let at = 0; at < 100; at++) cache.set('b', String(at), 'flood');
    expect(['1', '2'].map((key) => cache.get('a', key))).toEqual(['a 1', 'a 2']);
    expect([cache.get('b', '98'), cache.get('b', '99'), cache.size]).toEqual(['flood', 'flood', 4]);
  });

  it('makes room for a new owner at the cost of who has most', () => {
    const cache = filled(3, ['a', '1'], ['b', '1'], ['b', '2'], ['c', '1']);
    expect(cache.get('a', '1')).toBe('a 1');
    expect([cache.get('b', '1'), cache.get('b', '2'), cache.get('c', '1')]).toEqual([
      undefined,
      'b 2',
      'c 1',
    ]);
    cache.set('d', '1', 'd 1');
    expect([cache.get('a', '1'), cache.get('d', '1'), cache.size]).toEqual([undefined, 'd 1', 3]);
  });

  it('replaces, forgets, and finds what anybody keeps', () => {
    const cache = filled(2, ['a', '1']);
    cache.set('a', '1', 'again');
    expect([cache.size, cache.find('1'), cache.get('b', '1')]).toEqual([1, 'again', undefined]);
    cache.delete('a', '1');
    cache.delete('a', '1');
    expect([cache.size, cache.find('1')]).toEqual([0, undefined]);
  });

  it('keeps nothing without room', () => {
    expect(filled(0, ['a', '1']).size).toBe(0);
  });
});
