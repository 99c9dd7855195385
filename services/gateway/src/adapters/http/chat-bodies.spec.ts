import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { chatBody, completionBody } from './chat-bodies.js';
import { readBody } from './read-body.js';

const chat = (extra: object) =>
  readBody(chatBody, { model: 'auto', messages: [{ role: 'user', content: 'x' }], ...extra });
const completion = (extra: object) => readBody(completionBody, { model: 'auto', prompt: 'x', ...extra });

function fieldOf(read: () => unknown): string | undefined {
  try {
    read();
  } catch (fault) {
    if (ThalamusError.is(fault)) return fault.violations[0]?.field;
    throw fault;
  }
  return undefined;
}

describe('the ranges of OpenAI', () => {
  it.each<[string, readonly unknown[], readonly unknown[]]>([
    ['temperature', [0, 2, 0.7, null], [-0.1, 2.1, 99, '1']],
    ['top_p', [0, 1, null], [-0.1, 1.01, true]],
    ['presence_penalty', [-2, 2], [-2.1, 2.1]],
    ['frequency_penalty', [-2, 2], [-2.1, 2.1]],
    ['n', [1, 128], [0, 129, 1.5, 'two']],
    ['max_tokens', [1, 100_000], [0, -1, 1.5, '10']],
    ['max_completion_tokens', [1], [0, 'many']],
    ['seed', [-7, 0, 7], [0.5, '7']],
    ['top_logprobs', [0, 20], [-1, 21]],
    ['logprobs', [true, null], [3, 'yes']],
    ['stop', ['x', ['a', 'b', 'c', 'd'], null], [7, ['a', 'b', 'c', 'd', 'e'], [7]]],
    ['user', ['me'], [7]],
    ['tools', [[], Array(128).fill({})], [{}, Array(129).fill({})]],
  ])('%s of a chat', (field, right, wrong) => {
    for (const value of right) expect(chat({ [field]: value })).toMatchObject({ [field]: value });
    for (const value of wrong)
      expect([value, fieldOf(() => chat({ [field]: value }))?.split('.')[0]]).toEqual([value, field]);
  });

  it('logit_bias names the token that is out of range', () => {
    expect(chat({ logit_bias: { 50_256: -100 } })).toMatchObject({ logit_bias: { 50256: -100 } });
    expect(fieldOf(() => chat({ logit_bias: { 50_256: -101 } }))).toBe('logit_bias.50256');
  });

  it.each<[string, readonly unknown[], readonly unknown[]]>([
    ['best_of', [1, 20], [0, 21]],
    ['logprobs', [0, 5], [6, true]],
    ['echo', [true], ['yes']],
    ['suffix', ['.', null], [7]],
    ['temperature', [2], [2.5]],
  ])('%s of a completion', (field, right, wrong) => {
    for (const value of right) expect(completion({ [field]: value })).toMatchObject({ [field]: value });
    for (const value of wrong) expect(fieldOf(() => completion({ [field]: value }))).toBe(field);
  });
});
