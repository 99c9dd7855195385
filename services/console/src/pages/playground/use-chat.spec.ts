import { describe, expect, it } from 'vitest';
import { withEvent, type ChatAnswer } from './use-chat.js';

const waiting: ChatAnswer = {
  phase: 'waiting',
  expert: '',
  version: '',
  decision: '',
  requestId: '',
  text: '',
  usage: undefined,
  costUsd: undefined,
  firstTokenMs: undefined,
  totalMs: undefined,
  fault: undefined,
};

describe('withEvent', () => {
  it('builds the answer up and remembers when its first word came', () => {
    const started = withEvent(
      waiting,
      { kind: 'started', expert: 'a', version: '1', decision: 'd', requestId: 'r' },
      5,
    );
    expect(started).toMatchObject({ phase: 'streaming', expert: 'a', version: '1', text: '' });
    const one = withEvent(started, { kind: 'text', text: 'Hello' }, 100);
    const two = withEvent(one, { kind: 'text', text: ' you' }, 200);
    expect(two).toMatchObject({ text: 'Hello you', firstTokenMs: 100 });
    const usage = { promptTokens: 3, completionTokens: 2 };
    expect(withEvent(two, { kind: 'usage', usage }, 210).usage).toEqual(usage);
    expect(withEvent(two, { kind: 'cost', costUsd: 0.01 }, 220)).toMatchObject({
      text: 'Hello you',
      costUsd: 0.01,
    });
  });
});
