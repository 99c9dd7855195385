import { openBundle } from '@thalamus/bundle';
import { TOPICS } from '@thalamus/contracts';
import { decodeEvent } from '@thalamus/events';
import { tensor } from '@thalamus/tensor';
import { GraphBuilder, type OnnxModel } from '@thalamus/onnx-graph';
import {
  slowGraph,
  waitUntil,
  writePicoBase,
  writePicoGraph,
  writePicoLowRank,
  writePicoProbe,
} from '@thalamus/testing';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ask, Host, refusalOf, Registry, valuesOf } from './host-harness.js';

// Every case starts a host and loads graphs, each in a process of its own.
vi.setConfig({ testTimeout: 60_000 });

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

const start = async (environment: Record<string, string> = {}) =>
  (host = await Host.start(registry, environment));

/** y = x + k, float32 [n]: graphs of one size in bytes, whatever k. */
function plusGraph(k: number): OnnxModel {
  const builder = new GraphBuilder();
  const x = builder.input('x', 'float32', ['n']);
  const constant = builder.constant('k', tensor('float32', [1], Float32Array.of(k)));
  builder.output(builder.node('Add', [x, constant], { name: 'y' }), 'float32', ['n']);
  return builder.build({ name: 'plus' });
}

/** Adds graphs g0, g1 ... that add their number; resolves with the bytes of one. */
async function addGraphs(count: number): Promise<number> {
  for (let k = 0; k < count; k++) {
    await writePicoGraph(registry.path(`g${k}`), { name: `g${k}` }, plusGraph(k));
    await registry.add(`g${k}`);
  }
  return sizeOf('g0');
}

const sizeOf = async (name: string) => (await openBundle(registry.path(name))).sizeBytes;

async function addSlow(): Promise<number> {
  await writePicoGraph(registry.path('slow'), { name: 'slow' }, slowGraph());
  await registry.add('slow');
  return sizeOf('slow');
}

type CallOptions = Parameters<Host['client']['modelInfer']>[1];

/** What graph g{k} says to x = 1. */
async function plus(k: number, options: CallOptions = { deadlineMs: 20_000 }): Promise<number> {
  const x = { name: 'x', datatype: 'FP32', shape: [1n], contents: { fp32Contents: [1] } };
  const request = { modelName: `g${k}`, modelVersion: '', inputs: [x] };
  return valuesOf(await host!.client.modelInfer(request, options), 'y')[0] as number;
}

const slow = (side: number) => {
  const int64Contents = [BigInt(side), BigInt(side)];
  const input = { name: 'side', datatype: 'INT64', shape: [2n], contents: { int64Contents } };
  return host!.client.modelInfer(
    { modelName: 'slow', modelVersion: '1', inputs: [input] },
    { deadlineMs: 30_000 },
  );
};

const index = async () =>
  Object.fromEntries(
    (await host!.client.repositoryIndex({})).models.map(({ name, version, state, reason }) => [
      `${name}@${version}`,
      { state, reason },
    ]),
  );
const statesOf = async () =>
  Object.fromEntries(Object.entries(await index()).map(([key, { state }]) => [key, state]));
const readyNow = async () =>
  Object.entries(await statesOf()).flatMap(([key, state]) => (state === 'READY' ? [key] : []));

/** Follows what the host says of a version; resolves with the states so far, and those that come. */
async function followed(expert: string): Promise<string[]> {
  const states: string[] = [];
  const follower = await registry.bus.follow({
    topic: TOPICS.hostResidency.name,
    onRecord: (record) => {
      const residency = decodeEvent(TOPICS.hostResidency, record);
      if (residency?.expert === expert && states.at(-1) !== residency.state) states.push(residency.state);
    },
  });
  await follower.caughtUp;
  return states;
}

describe('more experts than there is room for', () => {
  it('are all answered, one after the other, never more loaded than fit', async () => {
    const size = await addGraphs(4);
    await start({ THALAMUS_MEMORY_LIMIT: String(2 * size) });
    expect(await statesOf()).toEqual({
      'g0@1': 'READY',
      'g1@1': 'READY',
      'g2@1': 'UNAVAILABLE',
      'g3@1': 'UNAVAILABLE',
    });
    expect((await index())['g3@1']?.reason).toContain('loaded when it is asked for');
    expect((await host!.client.modelReady({ name: 'g3' })).ready).toBe(false);
    for (let round = 0; round < 2; round++)
      for (const k of [0, 1, 2, 3]) {
        expect(await plus(k)).toBe(1 + k);
        expect((await readyNow()).length).toBe(2);
      }
    expect(await readyNow()).toEqual(['g2@1', 'g3@1']);
    // Used again, the older one stays.
    await plus(2);
    await plus(0);
    expect(await readyNow()).toEqual(['g0@1', 'g2@1']);
  });

  it('at once are all answered', async () => {
    const size = await addGraphs(6);
    await start({ THALAMUS_MEMORY_LIMIT: String(3 * size) });
    const wanted = Array.from({ length: 24 }, (_, i) => i % 6);
    expect(await Promise.all(wanted.map((k) => plus(k)))).toEqual(wanted.map((k) => 1 + k));
    expect((await readyNow()).length).toBe(3);
  });

  it('spare what is pinned, and what has a higher priority until the last', async () => {
    const size = await addGraphs(4);
    await start({
      THALAMUS_MEMORY_LIMIT: String(3 * size),
      THALAMUS_PINNED_EXPERTS: 'g3',
      THALAMUS_EXPERT_PRIORITIES: 'g2=5, g1=-1',
    });
    expect(await readyNow()).toEqual(['g0@1', 'g2@1', 'g3@1']);
    const [g2, g3] = [await followed('g2'), await followed('g3')];
    for (const k of [1, 0, 1, 0]) expect(await plus(k)).toBe(1 + k);
    expect(await readyNow()).toEqual(['g0@1', 'g2@1', 'g3@1']);
    expect([g2, g3]).toEqual([['ready'], ['ready']]);
    // Pinned by hand in place of g2.
    const pinned = { parameterChoice: { case: 'boolParam' as const, value: true } };
    await host!.client.repositoryModelLoad({ modelName: 'g1', parameters: { pinned } });
    await host!.client.repositoryModelLoad({ modelName: 'g0', parameters: { pinned } });
    const refusal = await refusalOf(plus(2));
    expect(refusal).toMatchObject({ code: 'EXPERT_OVERLOADED', grpc: 'RESOURCE_EXHAUSTED' });
    for (const name of ['THALAMUS_MEMORY_LIMIT', 'THALAMUS_PINNED_EXPERTS', String(3 * size)])
      expect(refusal.message).toContain(name);
    expect(await readyNow()).toEqual(['g0@1', 'g1@1', 'g3@1']);
    expect((await index())['g2@1']).toMatchObject({ state: 'UNAVAILABLE', reason: refusal.message });
  });

  it('share one load when many requests ask for one of them', async () => {
    const size = await addGraphs(2);
    await start({ THALAMUS_MEMORY_LIMIT: String(size) });
    const [g0, g1] = [await followed('g0'), await followed('g1')];
    expect(await Promise.all(Array.from({ length: 16 }, () => plus(1)))).toEqual(new Array(16).fill(2));
    await waitUntil('the host has said so', () => g1.at(-1) === 'ready' && g0.at(-1) === 'registered');
    // A state that has passed when its turn comes is not said.
    const said = (states: string[], brief: string) => states.filter((state) => state !== brief);
    expect(said(g1, 'loading')).toEqual(['registered', 'ready']);
    expect(said(g0, 'draining')).toEqual(['ready', 'registered']);
  });

  it('are described without being loaded again', async () => {
    const size = await addGraphs(2);
    await start({ THALAMUS_MEMORY_LIMIT: String(size) });
    await plus(1);
    expect((await host!.client.modelMetadata({ name: 'g0' })).inputs).toMatchObject([{ name: 'x' }]);
    expect(await readyNow()).toEqual(['g1@1']);
  });

  it('leave their base when the last goes, and find it again', async () => {
    const { digest } = await writePicoBase(registry.path('pico'), { name: 'pico' });
    await registry.add('pico', 'none');
    for (const name of ['aa', 'bb']) {
      await writePicoProbe(registry.path(name), { name }, ['a', 'b'], { name: 'pico', digest });
      await registry.add(name);
    }
    await addGraphs(1);
    const limit = (await sizeOf('pico')) + 2 * (await sizeOf('aa'));
    await start({ THALAMUS_MEMORY_LIMIT: String(limit), THALAMUS_EXPERT_PRIORITIES: 'aa=2,bb=1' });
    const before = valuesOf(await ask(host!, 'aa', ['hello world']), 'scores');
    expect(await plus(0)).toBe(1);
    expect(valuesOf(await ask(host!, 'aa', ['hello world']), 'scores')).toEqual(before);
    expect((await ask(host!, 'bb', ['hello'])).outputs.length).toBe(3);
  });
});

describe('a request that waits for its expert', { timeout: 60_000 }, () => {
  it('lets the one in flight end first', async () => {
    const limit = await addSlow();
    await addGraphs(1);
    await start({ THALAMUS_MEMORY_LIMIT: String(limit), THALAMUS_EXPERT_PRIORITIES: 'slow=1' });
    const inFlight = slow(2_048);
    // Answered after the slow request has come in.
    await host!.client.serverLive({});
    expect(await plus(0)).toBe(1);
    expect(valuesOf(await inFlight, 'sum')).toEqual([2_048 ** 3]);
    expect(await readyNow()).toEqual(['g0@1']);
  });

  it('ends with its deadline or its caller, and leaves nothing behind', async () => {
    const limit = await addSlow();
    await addGraphs(1);
    await start({ THALAMUS_MEMORY_LIMIT: String(limit), THALAMUS_EXPERT_PRIORITIES: 'slow=1' });
    const inFlight = slow(3_000);
    await host!.client.serverLive({});
    const leaving = new AbortController();
    const cancelled = refusalOf(plus(0, { deadlineMs: 20_000, signal: leaving.signal }));
    const late = refusalOf(plus(0, { deadlineMs: 300 }));
    const x = { name: 'x', datatype: 'FP32', shape: [1n], contents: { fp32Contents: [1] } };
    const timeout = { parameterChoice: { case: 'int64Param' as const, value: 200_000n } };
    const given = host!.client.modelInfer({ modelName: 'g0', inputs: [x], parameters: { timeout } });
    expect(await refusalOf(given)).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(await late).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    leaving.abort();
    expect(await cancelled).toMatchObject({ code: 'CANCELLED' });
    expect(valuesOf(await inFlight, 'sum')).toHaveLength(1);
    expect(await plus(0)).toBe(1);
  });

  it('finds a bounded queue', async () => {
    const limit = await addSlow();
    await addGraphs(1);
    await start({
      THALAMUS_MEMORY_LIMIT: String(limit),
      THALAMUS_EXPERT_PRIORITIES: 'slow=1',
      THALAMUS_MAX_LOAD_QUEUE: '2',
    });
    const inFlight = slow(3_000);
    await host!.client.serverLive({});
    const asked = await Promise.allSettled(Array.from({ length: 5 }, () => plus(0)));
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    const refused = asked.flatMap((it) => (it.status === 'rejected' ? [it.reason as Error] : []));
    expect(refused).toHaveLength(3);
    for (const { message } of refused) expect(message).toContain('THALAMUS_MAX_LOAD_QUEUE');
    await inFlight;
  });

  it('is told when its expert cannot be loaded; the others go on', async () => {
    const size = await addGraphs(2);
    const { files } = JSON.parse(await readFile(join(registry.path('g1'), 'expert.json'), 'utf8')) as {
      files: { sha256: string }[];
    };
    const path = registry.store.pathOf(`sha256:${files[0]!.sha256}`);
    const bytes = await readFile(path);
    bytes[bytes.length - 3]! ^= 1;
    await writeFile(path, bytes);
    await start({ THALAMUS_MEMORY_LIMIT: String(size) });
    expect((await index())['g1@1']?.state).toBe('UNAVAILABLE');
    const refusals = await Promise.all([plus(1), plus(1)].map(refusalOf));
    for (const { code, message } of refusals) {
      expect(code).toBe('EXPERT_NOT_READY');
      expect(message).toContain('is not what it claims');
    }
    expect(await plus(0)).toBe(1);
  });
});

describe('a channel that moves', () => {
  it('answers from the version before until the new one is warm, and from the new one then', async () => {
    await writePicoGraph(registry.path('one'), { name: 'g1' }, plusGraph(1));
    await registry.add('one');
    await start();
    await writePicoGraph(registry.path('two'), { name: 'g1', version: '2' }, plusGraph(2));
    await registry.add('two');
    const seen: number[] = [];
    await waitUntil('the new version answers', async () => {
      seen.push(await plus(1));
      return seen.at(-1) === 3;
    });
    expect(new Set(seen.slice(0, -1))).toEqual(new Set([2]));
    // What was sent to the version before still finds it.
    expect(Object.keys(await index())).toEqual(['g1@1', 'g1@2']);
    await waitUntil('the version before is gone', async () => !('g1@1' in (await index())));
    expect(await plus(1)).toBe(3);
  });

  it('keeps the version before while the new one cannot be loaded', async () => {
    await writePicoGraph(registry.path('one'), { name: 'g1' }, plusGraph(1));
    await registry.add('one');
    await start();
    const broken = plusGraph(2);
    broken.graph!.node[0]!.domain = 'evil.ops';
    await writePicoGraph(registry.path('two'), { name: 'g1', version: '2' }, broken);
    await registry.add('two');
    await host!.until('g1', '2', 'failed');
    expect(await plus(1)).toBe(2);
    expect(await statesOf()).toEqual({ 'g1@1': 'READY', 'g1@2': 'UNAVAILABLE' });
  });

  it('loads the new version at the cost of others when there is no room for it', async () => {
    const size = await addGraphs(2);
    await start({ THALAMUS_MEMORY_LIMIT: String(2 * size), THALAMUS_EXPERT_PRIORITIES: 'g1=1' });
    await plus(1);
    await writePicoGraph(registry.path('two'), { name: 'g1', version: '2' }, plusGraph(7));
    await registry.add('two');
    await waitUntil('the new version answers', async () => (await plus(1)) === 8);
    expect(await plus(0)).toBe(1);
  });
});

describe('a thousand low-rank experts on one base', { timeout: 300_000 }, () => {
  const COUNT = 1_000;
  const name = (index: number) => `lowrank-${index}`;

  it('are all loaded where there is room, and answer the same where there is room for a tenth', async () => {
    const { digest } = await writePicoBase(registry.path('pico'), { name: 'pico' });
    await registry.add('pico');
    const base = { name: 'pico', digest };
    const write = (index: number) => {
      const facts = { name: name(index), seed: 1 + (index % 7) };
      return writePicoLowRank(registry.path(name(index)), facts, ['a', 'b'], base, { rank: 4, alpha: 4 });
    };
    for (let index = 0; index < COUNT; index += 20)
      await Promise.all(Array.from({ length: 20 }, (_, at) => write(index + at)));
    await registry.addMany(Array.from({ length: COUNT }, (_, index) => name(index)));
    const asked = Array.from({ length: 40 }, (_, i) => name(i * 25));
    const answers = async () =>
      Promise.all(asked.map(async (each) => valuesOf(await ask(host!, each, ['hello world']), 'scores')));
    await start();
    expect((await readyNow()).length).toBe(COUNT + 1);
    const expected = await answers();
    // Adapters of one seed are the same, those of others are not.
    expect(new Set(expected.map(String)).size).toBe(7);
    const { modelStats } = await host!.client.modelStatistics({ name: name(0) });
    const each = Number(modelStats[0]?.memoryUsage[0]?.byteSize);
    await host!.stop();
    const limit = (await sizeOf('pico')) + (COUNT / 10) * each;
    await start({ THALAMUS_MEMORY_LIMIT: String(limit) });
    const loaded = (await readyNow()).length;
    expect(loaded).toBeGreaterThan(COUNT / 20);
    expect(loaded).toBeLessThanOrEqual(COUNT / 10 + 1);
    expect(await answers()).toEqual(expected);
    expect((await readyNow()).length).toBeLessThanOrEqual(COUNT / 10 + 1);
  });
});
