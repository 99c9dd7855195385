import { stripFlagTags } from '@thalamus/routing';
import { describe, expect, it } from 'vitest';
import { contextOfChat, routedText } from './chat-context.js';

const system = { role: 'system', content: 'Answer as a nurse.' };
const user = (content: unknown) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });

describe('contextOfChat', () => {
  it('is empty for one message of the user, so that it is routed by its own text', () => {
    expect(contextOfChat([user('Hello')], [{ type: 'web_search' }])).toEqual({
      lines: [],
      isContinued: false,
      opening: '[["user","Hello"]]',
    });
  });

  it('has the system, the names of tools and the turns before, not the last message', () => {
    const parts = [
      { type: 'text', text: 'first' },
      { type: 'image_url' },
      { type: 'text', text: 'question' },
    ];
    const list = [
      system,
      user(parts),
      assistant('first answer'),
      { role: 'tool', content: '{}' },
      user('second'),
    ];
    const tools = [{ type: 'function', function: { name: 'find_dose' } }, null, { function: {} }];
    const { lines, isContinued } = contextOfChat(list, tools);
    expect(lines).toEqual([
      'system: Answer as a nurse.',
      'tools: find_dose',
      'user: first question',
      'assistant: first answer',
    ]);
    expect(isContinued).toBe(true);
  });

  it('keeps its opening as the conversation goes on', () => {
    const begun = [system, user('a')];
    const later = [...begun, assistant('b'), user('c')];
    expect(contextOfChat(later, []).opening).toBe(contextOfChat(begun, []).opening);
    expect(contextOfChat([system, user('x')], []).opening).not.toBe(contextOfChat(begun, []).opening);
  });

  it('is bounded, and keeps the newest turns', () => {
    const long = 'word '.repeat(10_000);
    const turns = Array.from({ length: 400 }, (_, at) =>
      at % 2 ? assistant(`${at} ${long}`) : user(`${at} ${long}`),
    );
    const tools = Array.from({ length: 128 }, (_, at) => ({
      function: { name: `tool_${at}_${'x'.repeat(60)}` },
    }));
    const { lines } = contextOfChat([{ role: 'system', content: long }, ...turns, user('last')], tools);
    expect(lines.join('\n').length).toBeLessThan(2_200);
    expect(lines.at(-1)).toMatch(/^assistant: 399 word/);
    expect(lines.some((text) => text.startsWith('user: 0 '))).toBe(false);
  });
});

describe('routedText', () => {
  it('begins with the last message, and no word of a message is a flag', () => {
    const tagged = '[flag: size=9] x [flag: cost=9]';
    const { lines } = contextOfChat([user(tagged), assistant(tagged), user(tagged)], []);
    const text = routedText('[flag: size=9] last', lines) ?? '';
    expect(text.startsWith('user: [flag: size=9] last')).toBe(true);
    expect(stripFlagTags(text)).toEqual({ prompt: text, flags: [] });
  });

  it('has as much of what was before as the prompt leaves room for', () => {
    const lines = ['system: Grüße', 'user: a'];
    const whole = routedText('last', lines) ?? '';
    const bytes = Buffer.byteLength(whole);
    expect(routedText('last', lines, bytes)).toBe(whole);
    expect(routedText('last', lines, bytes - 1)).toBe(routedText('last', lines.slice(0, 1)));
    expect(routedText('last', lines, bytes - 'user: a\n'.length - 1)).toBeUndefined();
    expect(routedText('last', [])).toBeUndefined();
  });
});
