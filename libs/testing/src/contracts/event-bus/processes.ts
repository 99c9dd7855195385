import { expect, it } from 'vitest';
import { waitUntil } from '../../wait-until.js';
import { series, textOf, textRecord, unique, type BusHarness } from './bus-harness.js';

/** Deaths, stops and floods, with real processes. */
export function processContract(harness: BusHarness): void {
  it('a consumer process that is killed: another takes over, nothing is lost, order holds', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus, { partitions: 2 });
    const group = unique('group');
    const keys = ['a', 'b', 'c', 'd'];
    const victim = harness.process({ kind: 'consume', topic, group, handleMs: 15 });
    await victim.until('ready');
    await bus.publish(keys.flatMap((key) => series(topic, key, 0, 40)));
    await victim.until('handled', 20);
    await victim.kill();
    const before = new Set(victim.texts('handled'));
    expect(before.size).toBeLessThan(160);
    const heir = harness.process({ kind: 'consume', topic, group });
    await waitUntil(
      'everything has been handled by one or the other',
      () => new Set([...before, ...heir.texts('handled')]).size === 160,
      { timeoutMs: 40_000 },
    );
    for (const key of keys) {
      const mine = heir.texts('handled').filter((text) => text.startsWith(`${key}:`));
      const numbers = mine.map((text) => Number(text.split(':')[1]));
      expect(numbers).toEqual([...numbers].sort((x, y) => x - y));
    }
    // At least once, not many times over: what comes again is what was in hand.
    expect(heir.texts('handled').length).toBeLessThan(160 - before.size + 10);
  });

  it('a stop while a handler runs: the handler finishes and is counted, nothing begins after', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const group = unique('group');
    await bus.publish(series(topic, 'k', 0, 10));
    let begun = 0;
    let finished = 0;
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const subscription = await bus.subscribe({
      group,
      topics: [topic],
      handle: async () => {
        begun += 1;
        await gate;
        finished += 1;
        return { kind: 'ack' };
      },
    });
    await waitUntil('a handler runs', () => begun === 1);
    const stopping = subscription.stop();
    open();
    await stopping;
    expect({ begun, finished }).toEqual({ begun: 1, finished: 1 });
    const rest: (string | null)[] = [];
    await bus.subscribe({
      group,
      topics: [topic],
      handle: (record) => {
        rest.push(textOf(record));
        return Promise.resolve({ kind: 'ack' });
      },
    });
    await waitUntil('the rest is handled', () => rest.length >= 9, { timeoutMs: 40_000 });
    expect(rest).toEqual(series(topic, 'k', 1, 10).map(textOf));
    expect(begun).toBe(1);
  });

  it('a process that is told to end: what it has begun it finishes, and what it finished never comes again', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const group = unique('group');
    await bus.publish(series(topic, 'k', 0, 40));
    const first = harness.process({ kind: 'consume', topic, group, handleMs: 60 });
    await first.until('begun', 4);
    first.signal('SIGTERM');
    expect(await first.ended()).toBe(0);
    const done = first.texts('handled');
    expect(done).toEqual(first.texts('begun'));
    const second = harness.process({ kind: 'consume', topic, group });
    await waitUntil('the rest is handled', () => second.texts('handled').length >= 40 - done.length, {
      timeoutMs: 40_000,
    });
    expect([...done, ...second.texts('handled')]).toEqual(series(topic, 'k', 0, 40).map(textOf));
  });

  it('a slow handler under a flood: what waits stays on the bus, not in memory', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus, { partitions: 2 });
    const payload = 'x'.repeat(500_000);
    const floodBytes = 96 * payload.length;
    for (let index = 0; index < 96; index++)
      await bus.publish([textRecord(topic, `k${index % 8}`, `${index} ${payload}`)]);
    const slow = harness.process({ kind: 'consume', topic, group: unique('group'), handleMs: 150 });
    await slow.until('handled', 24);
    const used = slow.said.flatMap(({ memoryBytes }) => (memoryBytes === undefined ? [] : [memoryBytes]));
    // The process itself takes some 20 MB; of the 48 MB that wait it may hold what it fetches at once, and garbage of it.
    expect(Math.min(...used)).toBeLessThan(floodBytes / 2 + 20_000_000);
    expect(slow.texts('begun').length).toBeLessThan(slow.texts('handled').length + 17);
  });

  it('handlers at once: never more than the limit, over all partitions', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus, { partitions: 6 });
    await bus.publish(Array.from({ length: 60 }, (_unused, key) => textRecord(topic, `${key}`, 'x')));
    let running = 0;
    let most = 0;
    let done = 0;
    await bus.subscribe({
      group: unique('group'),
      topics: [topic],
      maxInFlight: 2,
      handle: async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setTimeout(resolve, 10));
        running -= 1;
        done += 1;
        return { kind: 'ack' };
      },
    });
    await waitUntil('all are handled', () => done >= 60);
    expect(most).toBe(2);
  });
}
