import { describe, expect, it } from 'vitest';
import { inOrder } from './in-order.js';

/** Work that ends when the test says so. */
class Work {
  readonly begun: number[] = [];
  private readonly ends = new Map<number, () => void>();
  readonly run = (item: number): Promise<string> => {
    this.begun.push(item);
    return new Promise((resolve) => {
      this.ends.set(item, () => {
        resolve(`answer ${item}`);
      });
    });
  };

  end(item: number): void {
    this.ends.get(item)?.();
  }
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

async function* numbers(count: number, state: { read: number; closed: boolean }) {
  try {
    for (let at = 0; at < count; at++) {
      state.read += 1;
      yield at;
      await settle();
    }
  } finally {
    state.closed = true;
  }
}

describe('inOrder', () => {
  it('works on several at once, no more than its limit, and keeps the order', async () => {
    const work = new Work();
    const state = { read: 0, closed: false };
    const results = inOrder(numbers(5, state), 3, work.run);
    const first = results.next();
    for (let turn = 0; turn < 20; turn++) await settle();
    expect(work.begun).toEqual([0, 1, 2]);
    work.end(2);
    work.end(1);
    await settle();
    work.end(0);
    expect(await first).toEqual({ done: false, value: 'answer 0' });
    expect((await results.next()).value).toBe('answer 1');
    expect((await results.next()).value).toBe('answer 2');
    const fourth = results.next();
    for (let turn = 0; turn < 20; turn++) await settle();
    expect(work.begun).toEqual([0, 1, 2, 3, 4]);
    work.end(4);
    work.end(3);
    expect((await fourth).value).toBe('answer 3');
    expect((await results.next()).value).toBe('answer 4');
    expect(await results.next()).toEqual({ done: true, value: undefined });
    expect(state.closed).toBe(true);
  });

  it('yields what is done while its source gives nothing', async () => {
    const work = new Work();
    async function* slow() {
      yield 0;
      await new Promise(() => undefined);
    }
    const results = inOrder(slow(), 4, work.run);
    const first = results.next();
    for (let turn = 0; turn < 10; turn++) await settle();
    work.end(0);
    expect((await first).value).toBe('answer 0');
    // Whoever leaves is not held up.
    expect(await results.return(undefined)).toEqual({ done: true, value: undefined });
  });

  it('breaks when its source does', async () => {
    // eslint-disable-next-line @typescript-eslint/require-await -- it breaks before it gives anything
    async function* broken(): AsyncGenerator<number> {
      throw new Error('gone');
    }
    await expect(inOrder(broken(), 2, new Work().run).next()).rejects.toThrow('gone');
  });
});
