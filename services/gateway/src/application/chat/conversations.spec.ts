import { expect, it } from 'vitest';
import { Conversations } from './conversations.js';

it('knows the expert of a conversation, of each tenant its own, and forgets the oldest', () => {
  const conversations = new Conversations(2);
  const [a, b, c] = ['a', 'b', 'c'].map((opening) => conversations.keyOf('acme', opening)) as [
    string,
    string,
    string,
  ];
  expect(a).not.toBe(conversations.keyOf('globex', 'a'));
  expect(a).not.toContain('acme');
  conversations.answered(a, 'one');
  conversations.answered(b, 'two');
  conversations.answered(a, 'three');
  conversations.answered(c, 'four');
  expect([a, b, c].map((key) => conversations.expertOf(key))).toEqual(['three', undefined, 'four']);
  expect(conversations.size).toBe(2);
});

it('remembers nothing when it has no room', () => {
  const conversations = new Conversations(0);
  conversations.answered('key', 'one');
  expect([conversations.size, conversations.expertOf('key')]).toEqual([0, undefined]);
});
