import { RPC_METADATA } from '@thalamus/contracts';
import { waitUntil } from '@thalamus/testing';
import { readFileSync } from 'node:fs';
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

const codeOf = async (fault: Error) => (await refusalOf(Promise.reject(fault))).code;

const slow = (side: number, deadlineMs = 20_000, tenant = '') => {
  const int64Contents = [BigInt(side), BigInt(side)];
  const input = { name: 'side', datatype: 'INT64', shape: [2n], contents: { int64Contents } };
  const metadata = tenant === '' ? {} : { [RPC_METADATA.tenant]: tenant };
  const request = { modelName: 'slow', modelVersion: '1', inputs: [input] };
  return host.client.modelInfer(request, { deadlineMs, metadata });
};

/** Ticks of CPU time that a process has used; 0 for one that is gone. */
function cpuTicksOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return 0;
  }
}

describe('a host whose inference process dies', () => {
  it('answers what was in flight from a new process', async () => {
    host = await Host.start(registry);
    const expected = valuesOf(await ask(host, 'animals', ['hello world']), 'scores');
    const first = host.childPid('slow');
    const inFlight = slow(2_048);
    await waitUntil('the run has begun', () => cpuTicksOf(first) > 20);
    process.kill(first, 'SIGKILL');
    expect(valuesOf(await inFlight, 'sum')).toEqual([2_048 ** 3]);
    expect(host.childPid('slow')).not.toBe(first);
    process.kill(host.childPid('pico'), 'SIGKILL');
    expect(valuesOf(await ask(host, 'animals', ['hello world']), 'scores')).toEqual(expected);
  });

  it('says EXPERT_CRASHED when the same run is struck twice', async () => {
    host = await Host.start(registry);
    const inFlight = refusalOf(slow(9_000));
    for (let round = 0; round < 2; round++) {
      const pid = await waitUntil('there is a process', () => host.childPid('slow') || undefined);
      await waitUntil('the run has begun', () => cpuTicksOf(pid) > 40);
      process.kill(pid, 'SIGKILL');
      await waitUntil('it is gone', () => host.childPid('slow') !== pid);
    }
    expect(await inFlight).toMatchObject({ code: 'EXPERT_CRASHED', grpc: 'UNAVAILABLE' });
  });

  it('lets no other model notice: each has a process of its own', async () => {
    host = await Host.start(registry);
    const pids = ['pico', 'linear', 'slow'].map((model) => host.childPid(model));
    expect(new Set(pids).size).toBe(3);
    const hanging = refusalOf(slow(9_000, 3_000));
    for (let round = 0; round < 5; round++)
      expect(valuesOf(await ask(host, 'animals', ['hello']), 'label').length).toBe(1);
    process.kill(pids[2]!, 'SIGKILL');
    expect(valuesOf(await ask(host, 'animals', ['hello']), 'label').length).toBe(1);
    expect((await hanging).code).toBe('DEADLINE_EXCEEDED');
    expect(['pico', 'linear'].map((model) => host.childPid(model))).toEqual(pids.slice(0, 2));
  });

  it('under load answers every request, and rightly', async () => {
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
        if (worker === 0 && (i === 15 || i === 35)) process.kill(host.childPid('pico'), 'SIGKILL');
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, worker) => work(worker)));
    expect(outcomes).toEqual(Array(480).fill('right'));
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
  it('bounds the queue of a graph of tensors too, each tenant by itself', async () => {
    host = await Host.start(registry, { THALAMUS_MAX_QUEUE: '2' });
    const long = [slow(3_000), slow(3_000)];
    const pid = host.childPid('slow');
    await waitUntil('the first run has begun', () => cpuTicksOf(pid) > 10);
    const greedy = await Promise.all(
      Array.from({ length: 5 }, () => slow(8, 20_000, 'greedy').then(() => 'answered', codeOf)),
    );
    const modest = await Promise.all([slow(8, 20_000, 'modest')]);
    expect(greedy.sort()).toEqual([
      'EXPERT_OVERLOADED',
      'EXPERT_OVERLOADED',
      'EXPERT_OVERLOADED',
      'answered',
      'answered',
    ]);
    expect(modest.map((answer) => valuesOf(answer, 'sum'))).toEqual([[8 ** 3]]);
    expect((await Promise.all(long)).length).toBe(2);
  });

  it('keeps a tenant that asks little from waiting behind one that asks much', async () => {
    host = await Host.start(registry, { THALAMUS_MAX_QUEUE: '60' });
    const ended: string[] = [];
    const timed = (side: number, tenant: string) =>
      slow(side, 20_000, tenant).then(() => {
        ended.push(tenant);
      });
    const much = Array.from({ length: 30 }, () => timed(700, 'much'));
    const pid = host.childPid('slow');
    await waitUntil('runs have begun', () => cpuTicksOf(pid) > 2);
    await Promise.all([...much, timed(700, 'little')]);
    expect(ended.length).toBe(31);
    // Two are on their way at a time; whoever was behind all others would be the last.
    expect(ended.indexOf('little')).toBeLessThan(20);
  });

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
    const child = host.childPid('slow');
    const stopped = host.stop(20_000);
    expect(valuesOf(await inFlight, 'sum')).toEqual([1_200 ** 3]);
    await stopped;
    expect(host.childPid('slow')).toBe(0);
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
