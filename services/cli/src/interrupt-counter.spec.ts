import { describe, expect, it } from 'vitest';
import { InterruptCounter } from './interrupt-counter.js';

describe('InterruptCounter', () => {
  it('takes signals of the same moment as one press, a later one as a second', () => {
    let now = 1000;
    const counter = new InterruptCounter(() => now);
    expect(counter.isPressed).toBe(false);
    expect(counter.press()).toBe('first');
    now += 500;
    expect(counter.press()).toBe('echo');
    now += 1;
    expect(counter.press()).toBe('again');
    expect(counter.isPressed).toBe(true);
  });
});
