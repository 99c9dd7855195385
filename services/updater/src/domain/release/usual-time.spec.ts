import { describe, expect, it } from 'vitest';
import { UsualTime } from './usual-time.js';

describe('what most requests took', () => {
  it('is not known of few, and then is the 95th percentile of the last 400, whatever came before', () => {
    const usual = new UsualTime();
    const times: number[] = [];
    for (let at = 0; at < 1_000; at++) {
      const ms = at < 500 ? 1_000 : (at * 37) % 53;
      usual.add(ms);
      times.push(ms);
      if (at < 99) expect(usual.tail).toBeUndefined();
    }
    const last = times.slice(-400).sort((a, b) => a - b);
    expect(usual.tail).toBe(last[380]);
  });
});
