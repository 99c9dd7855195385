import { tensor } from '@thalamus/tensor';
import { GraphBuilder } from '@thalamus/onnx-graph';
import { slowGraph, waitUntil, writePicoGraph } from '@thalamus/testing';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Host, refusalOf, Registry, valuesOf } from './host-harness.js';

const MEBIBYTE = 2 ** 20;
let registry: Registry;
let host: Host | undefined;

beforeEach(async () => {
  registry = await Registry.open();
});
afterEach(async () => {
  await host?.stop(0);
  host = undefined;
  await registry.close();
});

const start = async (limitBytes: number) =>
  (host = await Host.start(registry, {
    THALAMUS_MEMORY_COUNTS: 'resident',
    THALAMUS_MEMORY_LIMIT: String(Math.round(limitBytes)),
  }));

async function addPlus(name: string, k: number): Promise<void> {
  const builder = new GraphBuilder();
  const x = builder.input('x', 'float32', ['n']);
  const constant = builder.constant('k', tensor('float32', [1], Float32Array.of(k)));
  builder.output(builder.node('Add', [x, constant], { name: 'y' }), 'float32', ['n']);
  await writePicoGraph(registry.path(name), { name }, builder.build({ name: 'plus' }));
  await registry.add(name);
}

async function plus(modelName: string): Promise<number> {
  const x = { name: 'x', datatype: 'FP32', shape: [1n], contents: { fp32Contents: [1] } };
  const request = { modelName, modelVersion: '', inputs: [x] };
  return valuesOf(await host!.client.modelInfer(request, { deadlineMs: 20_000 }), 'y')[0] as number;
}

const ready = async () =>
  (await host!.client.repositoryIndex({ ready: true })).models.map(({ name }) => name).sort();

/** Resident bytes of the processes of models. */
const bytesOf = (names: readonly string[]) =>
  names.reduce((sum, name) => {
    const status = readFileSync(`/proc/${host!.childPid(name)}/status`, 'utf8');
    return sum + 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? NaN);
  }, 0);

describe('a limit of what processes have', { timeout: 60_000 }, () => {
  it('is kept by small models whose processes are large; all are answered', async () => {
    for (const k of [0, 1, 2, 3]) await addPlus(`g${k}`, k);
    await start(4_096 * MEBIBYTE);
    expect(await ready()).toEqual(['g0', 'g1', 'g2', 'g3']);
    const each = bytesOf(await ready()) / 4;
    await host!.stop(0);
    const limit = 2.5 * each;
    await start(limit);
    const seen: number[] = [];
    for (let round = 0; round < 2; round++)
      for (const k of [0, 1, 2, 3]) {
        expect(await plus(`g${k}`)).toBe(1 + k);
        seen.push((await ready()).length);
        expect(bytesOf(await ready())).toBeLessThanOrEqual(limit);
      }
    expect(seen.at(-1)).toBe(2);
  });

  it('refuses what cannot fit, and says what to do', async () => {
    await addPlus('g0', 0);
    await start(10 * MEBIBYTE);
    const refusal = await refusalOf(plus('g0'));
    expect(refusal.code).toBe('EXPERT_OVERLOADED');
    expect(refusal.message).toContain('THALAMUS_MEMORY_LIMIT');
    expect(await ready()).toEqual([]);
  });

  it('lets a model go when another has come to need more than there is', async () => {
    await writePicoGraph(registry.path('slow'), { name: 'slow' }, slowGraph());
    await registry.add('slow');
    await addPlus('g0', 0);
    const side = 4_000n;
    const input = { name: 'side', datatype: 'INT64', shape: [2n], contents: { int64Contents: [side, side] } };
    // Tensors of 64 MB stay in the arena of its session. Asked twice, it is the one that stays.
    const grow = async () => {
      const request = { modelName: 'slow', modelVersion: '1', inputs: [input] };
      for (let round = 0; round < 2; round++) await host!.client.modelInfer(request, { deadlineMs: 30_000 });
    };
    await start(4_096 * MEBIBYTE);
    expect(await ready()).toEqual(['g0', 'slow']);
    const before = bytesOf(await ready());
    await grow();
    const grown = bytesOf(await ready());
    expect(grown - before).toBeGreaterThan(60 * MEBIBYTE);
    await host!.stop(0);
    await start(grown - 30 * MEBIBYTE);
    expect(await ready()).toEqual(['g0', 'slow']);
    await grow();
    await waitUntil('one has gone', async () => (await ready()).length === 1);
    expect(await ready()).toEqual(['slow']);
  });
});
