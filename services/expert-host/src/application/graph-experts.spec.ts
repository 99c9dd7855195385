import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import type { Feeds, InferenceRuntime, InferenceSession } from '@thalamus/inference';
import { tensor } from '@thalamus/tensor';
import { waitUntil } from '@thalamus/testing';
import { describe, expect, it } from 'vitest';
import { RawGraphExpert } from './graph-experts.js';

const settle = () => new Promise((resolve) => setImmediate(resolve));

/** An expert whose runs end when they are told to. */
async function opened() {
  const ends: (() => void)[] = [];
  const run: InferenceSession['run'] = (feeds: Feeds, { signal } = {}) =>
    new Promise((resolve, reject) => {
      // A caller who has gone is answered at once; what runs in the process goes on.
      signal?.addEventListener('abort', () => {
        reject(new Error('the caller has gone'));
      });
      ends.push(() => {
        resolve(feeds);
      });
    });
  const session = {
    inputs: [],
    outputs: [],
    lanes: 1,
    press: () => undefined,
    run,
  } as Partial<InferenceSession>;
  const runtime = { load: () => Promise.resolve(session) } as unknown as InferenceRuntime;
  // All that is asked of a bundle here.
  const bundle = {
    manifest: {},
    sizeBytes: 1,
    filePath: () => '',
  } as unknown as OpenedBundle<ExpertManifest>;
  const summary = { inputs: [], outputs: [] } as unknown as Parameters<typeof RawGraphExpert.open>[1];
  const settings = { maxBatch: 1, maxBatchTokens: 1, batchDelayMs: 0, maxQueue: 50 };
  return { ends, expert: await RawGraphExpert.open(bundle, summary, runtime, settings) };
}

describe('RawGraphExpert', () => {
  it('answers a caller who goes at once, and begins no other run in the place of one that goes on', async () => {
    const { expert, ends } = await opened();
    const inputs = new Map([['x', tensor('float32', [1], Float32Array.of(1))]]);
    const refusals = [];
    for (let round = 0; round < 10; round++) {
      const aborter = new AbortController();
      const answer = expert.infer(inputs, { parameters: new Map(), signal: aborter.signal });
      refusals.push(answer.catch((error: unknown) => error));
      await settle();
      aborter.abort();
      await settle();
    }
    for (const refusal of await Promise.all(refusals)) expect(refusal).toMatchObject({ code: 'CANCELLED' });
    expect(ends.length).toBe(2);
    const last = expert.infer(inputs, { parameters: new Map() });
    for (const end of ends) end();
    await waitUntil('the last run has begun', () => ends.length === 3);
    ends.at(-1)?.();
    expect((await last).outputs.get('x')?.data).toEqual(Float32Array.of(1));
  });
});
