import { describe, expect, it } from 'vitest';
import { ProgressChannel } from './progress-channel.js';

describe('ProgressChannel', () => {
  it('gives a slow reader the last state of each step, in order, and ends', async () => {
    const channel = new ProgressChannel();
    for (let done = 0; done <= 1000; done++) channel.push({ stage: 'router', done, total: 1000 });
    channel.push({ stage: 'graph', done: 0, total: 1 });
    channel.end();
    const seen: string[] = [];
    for await (const { stage, done } of channel) seen.push(`${stage} ${done}`);
    expect(seen).toEqual(['router 1000', 'graph 0']);
  });

  it('gives a reader that keeps up everything', async () => {
    const channel = new ProgressChannel();
    const reader = channel[Symbol.asyncIterator]();
    for (const done of [1, 2, 3]) {
      const next = reader.next();
      channel.push({ stage: 'parity', done, total: 3 });
      expect((await next).value).toEqual({ stage: 'parity', done, total: 3 });
    }
    const last = reader.next();
    channel.end();
    expect((await last).done).toBe(true);
  });
});
