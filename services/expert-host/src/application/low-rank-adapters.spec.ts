import type { LowRankAdapter } from '@thalamus/bundle';
import type { Feeds, InferenceRuntime } from '@thalamus/inference';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { BaseSession } from './base-session.js';
import { LowRankAdapters } from './low-rank-adapters.js';

const LAYER = 'encoder.layer.0.output.dense';
const BRANCH = { layer: LAYER, inputs: 3, outputs: 2, down: `${LAYER}.down`, up: `${LAYER}.up` };

function adapterOf(value: number): LowRankAdapter {
  const factors = {
    layer: LAYER,
    a: new Float32Array(3).fill(value),
    b: new Float32Array(2).fill(value),
    rank: 1,
    inputs: 3,
    outputs: 2,
  };
  return { factors: [factors], rank: 1, alpha: 1, scale: 1 };
}

/** A runtime that keeps how rows are read, as one does that must fill its tables again after a crash. */
function keepingRuntime(reads: (() => Promise<Feeds>)[], first: (row: Feeds) => void): InferenceRuntime {
  const table = {
    set: async (_row: number, read: () => Promise<Feeds>) => {
      first(await read());
      reads.push(read);
    },
    clear: () => undefined,
    release: () => Promise.resolve(),
  };
  return {
    load: () => Promise.reject(new Error('no graph is loaded here')),
    createTable: () => Promise.resolve(table),
    close: () => Promise.resolve(),
  };
}

describe('low-rank adapters', () => {
  it('give a row of what was read already, read it again after a crash, and keep nothing of it meanwhile', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as NonNullable<typeof globalThis.gc>;
    const reads: (() => Promise<Feeds>)[] = [];
    const rows: Feeds[] = [];
    const session = { layers: () => Promise.resolve([BRANCH]), branch: () => Promise.resolve() };
    // What adding an adapter needs of a session.
    const adapters = new LowRankAdapters(
      keepingRuntime(reads, (row) => rows.push(row)),
      session as unknown as BaseSession,
    );
    const add = async () => {
      const adapter = adapterOf(1);
      await adapters.add('one', 'one', adapter, () => Promise.resolve(adapterOf(2)));
      return new WeakRef(adapter);
    };
    const added = await add();
    await new Promise((resolve) => setImmediate(resolve));
    await collect({ type: 'major', execution: 'async' });
    expect(added.deref()).toBeUndefined();
    const again = await reads[0]?.();
    // float16: 1 is 0x3c00, 2 is 0x4000.
    expect(rows[0]?.[BRANCH.up]?.data[0]).toBe(0x3c00);
    expect(again?.[BRANCH.up]?.data[0]).toBe(0x4000);
  });
});
