import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FairQueue, type BatchLimits, type FairItem } from './fair-queue.js';

// One seed for every run: a failure that is seen once is seen again.
fc.configureGlobal({ seed: 20_261_129, numRuns: 200 });

const LARGEST = 128;
const size = fc.integer({ min: 1, max: LARGEST });
const sizes = fc.array(size, { minLength: 1, maxLength: 8 });
const limits: fc.Arbitrary<BatchLimits> = fc.record({
  maxBatch: fc.integer({ min: 1, max: 16 }),
  maxCost: fc.integer({ min: 32, max: 512 }),
});

/** Sizes that come again and again. */
function endless(cycle: readonly number[]): () => number {
  let at = 0;
  return () => cycle[at++ % cycle.length] ?? 1;
}

describe('fairness', () => {
  it('tenants that always wait get the same cost, within one batch and one item', () => {
    fc.assert(
      fc.property(fc.array(sizes, { minLength: 2, maxLength: 5 }), limits, (cycles, within) => {
        const queue = new FairQueue<FairItem>();
        const tenants = cycles.map((cycle, index) => ({ tenant: `t${index}`, next: endless(cycle) }));
        const refill = () => {
          for (const { tenant, next } of tenants)
            while (queue.of(tenant).count < 20) queue.push({ tenant, size: next() });
        };
        const served = new Map(tenants.map(({ tenant }) => [tenant, 0]));
        for (let round = 0; round < 200; round++) {
          refill();
          for (const item of queue.take(within))
            served.set(item.tenant, (served.get(item.tenant) ?? 0) + item.size);
          const costs = [...served.values()];
          expect(Math.max(...costs) - Math.min(...costs)).toBeLessThanOrEqual(
            Math.max(within.maxCost, LARGEST) + LARGEST,
          );
        }
      }),
      { numRuns: 50 },
    );
  });

  it('nobody starves: an item is taken before its tenant and each other have had what stood before it, and a batch', () => {
    fc.assert(
      fc.property(sizes, size, limits, fc.integer({ min: 1, max: 6 }), (cycle, wanted, within, others) => {
        const queue = new FairQueue<FairItem>();
        const next = endless(cycle);
        const refill = () => {
          for (let other = 0; other < others; other++)
            while (queue.of(`t${other}`).count < 20) queue.push({ tenant: `t${other}`, size: next() });
        };
        refill();
        for (let round = 0; round < 10; round++) {
          queue.take(within);
          refill();
        }
        const item = { tenant: 'late', size: wanted };
        queue.push(item);
        let before = 0;
        for (;;) {
          const batch = queue.take(within);
          if (batch.includes(item)) break;
          before += batch.reduce((sum, each) => sum + each.size, 0);
          refill();
          expect(before).toBeLessThanOrEqual(others * 2 * (Math.max(within.maxCost, LARGEST) + LARGEST));
        }
      }),
    );
  });

  it('a tenant that comes back has no more coming to it than one that waited, however long it was away', () => {
    fc.assert(
      fc.property(sizes, fc.integer({ min: 0, max: 100 }), limits, (cycle, away, within) => {
        const queue = new FairQueue<FairItem>();
        const busy = endless(cycle);
        const back = endless(cycle);
        const fill = (tenant: string, next: () => number) => {
          while (queue.of(tenant).count < 20) queue.push({ tenant, size: next() });
        };
        for (let round = 0; round < away; round++) {
          fill('busy', busy);
          queue.take(within);
        }
        const served = { busy: 0, back: 0 };
        for (let round = 0; round < 100; round++) {
          fill('busy', busy);
          fill('back', back);
          for (const { tenant, size: cost } of queue.take(within))
            served[tenant === 'back' ? 'back' : 'busy'] += cost;
          expect(served.back - served.busy).toBeLessThanOrEqual(
            2 * (Math.max(within.maxCost, LARGEST) + LARGEST),
          );
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('a batch', () => {
  it('keeps its limits, and everything that was put in comes out once', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ tenant: fc.constantFrom('a', 'b', 'c'), size }), { maxLength: 60 }),
        limits,
        (items, within) => {
          const queue = new FairQueue<FairItem>();
          for (const item of items) queue.push(item);
          const taken = new Set<FairItem>();
          while (queue.length > 0) {
            const batch = queue.take(within);
            const largest = Math.max(...batch.map((item) => item.size));
            expect(batch.length).toBeGreaterThan(0);
            expect(batch.length).toBeLessThanOrEqual(within.maxBatch);
            if (batch.length > 1) expect(batch.length * largest).toBeLessThanOrEqual(within.maxCost);
            for (const item of batch) taken.add(item);
          }
          expect(taken).toEqual(new Set(items));
          expect(queue.load).toEqual({ count: 0, cost: 0 });
        },
      ),
    );
  });

  it('of one tenant is as without tenants: led by the oldest', () => {
    fc.assert(
      fc.property(fc.array(size, { minLength: 1, maxLength: 40 }), limits, (all, within) => {
        const queue = new FairQueue<FairItem>();
        let left: FairItem[] = all.map((each) => ({ tenant: '', size: each }));
        for (const item of left) queue.push(item);
        while (left.length > 0) {
          const batch = new Set(queue.take(within));
          expect(batch.has(left[0] as FairItem)).toBe(true);
          left = left.filter((item) => !batch.has(item));
        }
      }),
    );
  });
});
