import { expect, it } from 'vitest';
import { Conversations } from './conversations.js';

it('knows the expert of a conversation, of each tenant its own, and forgets the oldest', () => {
  const conversations = new Conversations(2);
  const [a, b, c] = ['a', 'b', 'c'].map((opening) => conversations.keyOf('acme', opening)) as [Key, Key, Key];
  expect(a.digest).not.toBe(conversations.keyOf('globex', 'a').digest);
  expect(a.digest).not.toContain('acme');
  conversations.answered(a, 'one');
  conversations.answered(b, 'two');
  conversations.answered(a, 'three');
  conversations.answered(c, 'four');
  expect([a, b, c].map((key) => conversations.expertOf(key))).toEqual(['three', undefined, 'four']);
  expect(conversations.size).toBe(2);
});

it('of a tenant with few are not forgotten because another has many', () => {
  const conversations = new Conversations(4);
  const few = ['a', 'b'].map((opening) => conversations.keyOf('acme', opening));
  for (const key of few) conversations.answered(key, 'one');
  for (let at = 0; at < 100; at++) conversations.answered(conversations.keyOf('globex', `${at}`), 'two');
  expect(few.map((key) => conversations.expertOf(key))).toEqual(['one', 'one']);
  expect(conversations.expertOf(conversations.keyOf('globex', '99'))).toBe('two');
  expect(conversations.size).toBe(4);
});

it('remembers nothing when it has no room', () => {
  const conversations = new Conversations(0);
  const key = conversations.keyOf('acme', 'a');
  conversations.answered(key, 'one');
  expect([conversations.size, conversations.expertOf(key)]).toEqual([0, undefined]);
});

type Key = ReturnType<Conversations['keyOf']>;
