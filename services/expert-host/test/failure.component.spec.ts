import { waitUntil } from '@thalamus/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask, Host, refusalOf, Registry, valuesOf } from './host-harness.js';

let registry: Registry;
let host: Host;

beforeEach(async () => {
  registry = await Registry.open();
  await registry.addAll();
});
afterEach(async () => {
  await host.stop(0);
  await registry.close();
});

const slow = (side: number, deadlineMs = 20_000) => {
  const int64Contents = [BigInt(side), BigInt(side)];
  const input = { name: 'side', datatype: 'INT64', shape: [2n], contents: { int64Contents } };
  return host.client.modelInfer({ modelName: 'slow', modelVersion: '1', inputs: [input] }, { deadlineMs });
};

describe('a host whose inference process dies', () => {
  it('fails what was in flight with EXPERT_CRASHED and answers the next request from a new one', async () => {
    host = await Host.start(registry);
    const expected = valuesOf(await ask(host, 'animals', ['hello world']), 'scores');
    const first = host.childPid();
    const inFlight = refusalOf(slow(9_000));
    await waitUntil('the run has begun', async () => {
      const { modelStats } = await host.client.modelStatistics({ name: 'slow' });
      return modelStats.length === 1;
    });
    process.kill(first, 'SIGKILL');
    expect(await inFlight).toMatchObject({ code: 'EXPERT_CRASHED', grpc: 'UNAVAILABLE' });
    expect(valuesOf(await ask(host, 'animals', ['hello world']), 'scores')).toEqual(expected);
    expect(host.childPid()).not.toBe(first);
  });

  it('under load loses no more than a few requests, and never gives a wrong answer', async () => {
    host = await Host.start(registry);
    const experts = ['animals', 'weather', 'planets'];
    const expected = new Map<string, unknown>();
    for (const expert of experts)
      expected.set(expert, valuesOf(await ask(host, expert, ['hello world']), 'label'));
    const outcomes: string[] = [];
    const work = async (worker: number) => {
      for (let i = 0; i < 60; i++) {
        const expert = experts[(worker + i) % 3]!;
        const outcome = await ask(host, expert, ['hello world']).then(
          (answer) =>
            JSON.stringify(valuesOf(answer, 'label')) === JSON.stringify(expected.get(expert))
              ? 'right'
              : 'wrong',
          async (fault: unknown) => (await refusalOf(Promise.reject(fault as Error))).code,
        );
        outcomes.push(outcome);
        if (worker === 0 && (i === 15 || i === 35)) process.kill(host.childPid(), 'SIGKILL');
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, worker) => work(worker)));
    const count = (what: string) => outcomes.filter((outcome) => outcome === what).length;
    expect(outcomes.length).toBe(480);
    expect(count('right') + count('EXPERT_CRASHED')).toBe(480);
    // Two kills, each with at most the requests of eight workers in flight.
    expect(count('EXPERT_CRASHED')).toBeLessThanOrEqual(16);
  });

  it('ends a run that hangs, and serves on', async () => {
    host = await Host.start(registry, { THALAMUS_RUN_TIMEOUT_MS: '2000' });
    const refusal = await refusalOf(slow(9_000));
    expect(refusal).toMatchObject({ code: 'EXPERT_CRASHED' });
    expect(refusal.message).toContain('no answer within 2000 ms');
    expect((await ask(host, 'animals', ['hello'])).outputs.length).toBe(3);
  });
});

describe('a host that is overloaded', () => {
  it('refuses with EXPERT_OVERLOADED when its queue is full, and answers what it took', async () => {
    host = await Host.start(registry, { THALAMUS_MAX_QUEUE: '8', THALAMUS_MAX_BATCH: '2' });
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, () =>
        ask(host, 'animals', ['hello', 'world']).then(
          (answer) => (valuesOf(answer, 'label').length === 2 ? 'answered' : 'wrong'),
          async (fault: unknown) => (await refusalOf(Promise.reject(fault as Error))).code,
        ),
      ),
    );
    expect(new Set(outcomes)).toEqual(new Set(['answered', 'EXPERT_OVERLOADED']));
    const nine = Array.from({ length: 9 }, () => 'hello');
    expect(await refusalOf(ask(host, 'animals', nine))).toMatchObject({
      code: 'EXPERT_OVERLOADED',
      grpc: 'RESOURCE_EXHAUSTED',
    });
    expect((await ask(host, 'animals', ['hello'])).outputs.length).toBe(3);
  });
});

describe('a host that stops', () => {
  it('withdraws its experts, ends what is in flight, and takes nothing new', async () => {
    host = await Host.start(registry);
    const inFlight = slow(1_200);
    await waitUntil('the run has begun', async () => {
      const { modelStats } = await host.client.modelStatistics({ name: 'slow' });
      return modelStats.length === 1;
    });
    const child = host.childPid();
    const stopped = host.stop(20_000);
    expect(valuesOf(await inFlight, 'sum')).toEqual([1_200 ** 3]);
    await stopped;
    expect(host.childPid()).toBe(0);
    expect(child).toBeGreaterThan(0);
    expect((await refusalOf(ask(host, 'animals', ['hello']))).code).not.toBe('');
  });

  it('waits for requests on an expert that is unloaded', async () => {
    host = await Host.start(registry);
    const inFlight = slow(1_200);
    await waitUntil('the run has begun', async () => {
      const { modelStats } = await host.client.modelStatistics({ name: 'slow' });
      return modelStats.length === 1;
    });
    const unloaded = host.client.repositoryModelUnload({ modelName: 'slow@1' });
    expect(valuesOf(await inFlight, 'sum')).toEqual([1_200 ** 3]);
    await unloaded;
    expect(await refusalOf(slow(10))).toMatchObject({ code: 'EXPERT_NOT_READY' });
  });
});
