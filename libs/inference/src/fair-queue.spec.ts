import { describe, expect, it } from 'vitest';
import { FairQueue, type FairItem } from './fair-queue.js';

const queueOf = (...items: readonly (readonly [string, number])[]) => {
  const queue = new FairQueue<FairItem>();
  for (const [tenant, size] of items) queue.push({ tenant, size });
  return queue;
};
const names = (batch: readonly FairItem[]) => batch.map(({ tenant, size }) => `${tenant}${size}`);
const UNLIMITED = { maxBatch: 4, maxCost: Infinity };

describe('which items make a batch', () => {
  it('of one tenant: the oldest, and those nearest to it in size', () => {
    const queue = queueOf(['a', 100], ['a', 5], ['a', 110], ['a', 300], ['a', 95]);
    expect(names(queue.take({ maxBatch: 9, maxCost: 1_000 }))).toEqual(['a100', 'a95', 'a110']);
    expect(names(queue.take({ maxBatch: 9, maxCost: 1_000 }))).toEqual(['a5']);
    expect(names(queue.take({ maxBatch: 9, maxCost: 1_000 }))).toEqual(['a300']);
    expect(queue.take(UNLIMITED)).toEqual([]);
  });

  it('of several: in turn, however many one has', () => {
    const queue = queueOf(['a', 8], ['a', 8], ['a', 8], ['a', 8], ['b', 8], ['c', 8]);
    expect(names(queue.take(UNLIMITED))).toEqual(['a8', 'b8', 'c8', 'a8']);
    expect(names(queue.take(UNLIMITED))).toEqual(['a8', 'a8']);
  });

  it('in turn by cost, not by number', () => {
    const queue = queueOf(['a', 90], ['a', 90], ...Array.from({ length: 9 }, () => ['b', 10] as const));
    const one = { maxBatch: 1, maxCost: 100 };
    const taken = Array.from({ length: 11 }, () => names(queue.take(one))[0]);
    expect(taken.slice(0, 2)).toEqual(['a90', 'b10']);
    expect(taken.slice(1, 10)).toEqual(Array.from({ length: 9 }, () => 'b10'));
    expect(taken[10]).toBe('a90');
  });

  it('lets nobody fill batches beside a tenant whose own items do not fit them, without end', () => {
    // The oldest of a is small, the others are large; b has nothing but small ones.
    const queue = queueOf(['a', 10], ...Array.from({ length: 3 }, () => ['a', 100] as const));
    for (let i = 0; i < 60; i++) queue.push({ tenant: 'b', size: 10 });
    const limits = { maxBatch: 32, maxCost: 100 };
    const order = Array.from({ length: 4 }, () => names(queue.take(limits)));
    expect(order.flat().filter((name) => name === 'a100').length).toBeGreaterThanOrEqual(2);
  });
});

describe('what a tenant is charged', () => {
  it('nothing is saved up by having nothing to do', () => {
    const queue = queueOf(...Array.from({ length: 40 }, () => ['a', 1] as const));
    for (let i = 0; i < 30; i++) queue.take({ maxBatch: 1, maxCost: 9 });
    for (let i = 0; i < 40; i++) queue.push({ tenant: 'b', size: 1 });
    const taken = Array.from({ length: 10 }, () => queue.take({ maxBatch: 1, maxCost: 9 })[0]?.tenant);
    expect(taken.filter((tenant) => tenant === 'b').length).toBe(5);
  });

  it('nothing is forgiven by leaving and coming back while others wait', () => {
    const queue = queueOf(['b', 10], ['b', 10], ['a', 50]);
    const one = { maxBatch: 1, maxCost: 50 };
    expect([queue.take(one), queue.take(one)].map((batch) => names(batch)[0])).toEqual(['b10', 'a50']);
    queue.push({ tenant: 'a', size: 50 });
    for (let i = 0; i < 5; i++) queue.push({ tenant: 'b', size: 10 });
    const next = Array.from({ length: 5 }, () => queue.take(one)[0]?.tenant);
    expect(next).toEqual(['b', 'b', 'b', 'b', 'a']);
  });

  it('everything is forgotten once nothing waits and nothing runs', () => {
    const queue = queueOf(['a', 500]);
    queue.take(UNLIMITED);
    queue.rest();
    queue.push({ tenant: 'a', size: 1 });
    queue.push({ tenant: 'b', size: 1 });
    expect(names(queue.take({ maxBatch: 1, maxCost: 9 }))).toEqual(['a1']);
  });
});

describe('what it knows', () => {
  it('counts what waits, of all and of each', () => {
    const queue = queueOf(['a', 5], ['a', 7], ['b', 1]);
    expect(queue.load).toEqual({ count: 3, cost: 13 });
    expect(queue.of('a')).toEqual({ count: 2, cost: 12 });
    expect(queue.of('c')).toEqual({ count: 0, cost: 0 });
    expect([queue.tenantsWith('a'), queue.tenantsWith('c')]).toEqual([2, 3]);
  });

  it('says what comes before one more item: all of its tenant, of others no more than as much', () => {
    const queue = queueOf(['a', 10], ['a', 10], ['a', 10], ['a', 10], ['b', 10]);
    expect(queue.ahead('a')).toEqual({ count: 5, cost: 50 });
    expect(queue.ahead('b')).toEqual({ count: 2, cost: 20 });
    expect(queue.ahead('c')).toEqual({ count: 0, cost: 0 });
  });

  it('takes out what left, once', () => {
    const item = { tenant: 'a', size: 3 };
    const queue = new FairQueue<FairItem>();
    queue.push(item);
    queue.push({ tenant: 'b', size: 4 });
    queue.remove(item);
    queue.remove(item);
    expect(queue.load).toEqual({ count: 1, cost: 4 });
    expect(queue.removeAll(({ size }) => size === 4)).toEqual([{ tenant: 'b', size: 4 }]);
    expect(queue.length).toBe(0);
  });
});
