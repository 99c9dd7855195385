import { describe, expect, it } from 'vitest';
import { PromptCache } from './prompt-cache.js';

const keyIn = (cache: PromptCache<number>, tenant: string, prompt: string) => {
  const key = cache.keyOf(tenant, prompt);
  if (key === undefined) throw new Error('nothing is kept');
  return key;
};

describe('PromptCache', () => {
  it('finds what was kept for the same tenant and prompt, and nothing else', () => {
    const cache = new PromptCache<number>(10);
    cache.set(keyIn(cache, 'a', 'hello'), 1);
    expect(cache.get(keyIn(cache, 'a', 'hello'))).toBe(1);
    expect(cache.get(keyIn(cache, 'b', 'hello'))).toBeUndefined();
    expect(cache.get(keyIn(cache, 'a', 'hello '))).toBeUndefined();
  });

  it('lets the least recently used go when it is full', () => {
    const cache = new PromptCache<number>(2);
    const [one, two, three] = ['1', '2', '3'].map((prompt) => keyIn(cache, 'a', prompt)) as [
      string,
      string,
      string,
    ];
    cache.set(one, 1);
    cache.set(two, 2);
    cache.get(one);
    cache.set(three, 3);
    expect([one, two, three].map((key) => cache.get(key))).toEqual([1, undefined, 3]);
    cache.set(three, 4);
    expect(cache.size).toBe(2);
    expect(cache.get(three)).toBe(4);
  });

  it('knows prompts by digest alone, and keeps nothing when it has no room', () => {
    expect(new PromptCache(1).keyOf('a', 'my secret')).not.toContain('secret');
    expect(new PromptCache(0).keyOf('a', 'hello')).toBeUndefined();
  });
});
