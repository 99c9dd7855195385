import { idempotent, type ReceivedRecord } from '@thalamus/events';
import { expect, it } from 'vitest';
import { waitUntil } from '../../wait-until.js';
import { series, textOf, textRecord, unique, type BusHarness } from './bus-harness.js';

/** Order, sharing, positions: what a consumer may rely on while nothing breaks. */
export function deliveryContract(harness: BusHarness): void {
  it('keeps the order of each key, over many keys and partitions', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus, { partitions: 3 });
    const keys = ['a', 'b', 'c', 'd', 'e'];
    for (let round = 0; round < 5; round++)
      await bus.publish(keys.flatMap((key) => series(topic, key, round * 8, round * 8 + 8)));
    const seen = new Map<string, string[]>(keys.map((key) => [key, []]));
    await bus.subscribe({
      group: unique('group'),
      topics: [topic],
      handle: (record) => {
        seen.get(record.key)?.push(textOf(record) ?? '');
        return Promise.resolve({ kind: 'ack' });
      },
    });
    await waitUntil('all 200 are handled', () => [...seen.values()].flat().length >= 200);
    for (const key of keys)
      expect(seen.get(key)).toEqual(Array.from({ length: 40 }, (_unused, index) => `${key}:${index}`));
  });

  it('says where each record lies, in the order of the call', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus, { partitions: 3 });
    const records = ['x', 'y', 'z', 'x', 'y', 'x'].map((key, index) => textRecord(topic, key, `${index}`));
    const positions = await bus.publish(records);
    expect(positions).toHaveLength(6);
    const received: ReceivedRecord[] = [];
    const follower = await bus.follow({ topic, onRecord: (record) => received.push(record) });
    await follower.caughtUp;
    const byText = new Map(received.map((record) => [textOf(record), record]));
    for (const [index, { partition, offset }] of positions.entries())
      expect(byText.get(`${index}`)).toMatchObject({ partition, offset, topic });
  });

  it('shares the partitions of a topic among the members of a group, and gives each group everything', async () => {
    const [one, two, three] = [await harness.bus(), await harness.bus(), await harness.bus()];
    const topic = await harness.topic(one, { partitions: 4 });
    const [shared, alone] = [unique('shared'), unique('alone')];
    const handled = { one: new Set<number>(), two: new Set<number>(), count: 0, alone: 0 };
    const member = (partitions: Set<number>) => (record: ReceivedRecord) => {
      partitions.add(record.partition);
      handled.count += 1;
      return Promise.resolve({ kind: 'ack' as const });
    };
    await one.subscribe({ group: shared, topics: [topic], handle: member(handled.one) });
    await two.subscribe({ group: shared, topics: [topic], handle: member(handled.two) });
    await three.subscribe({
      group: alone,
      topics: [topic],
      handle: () => {
        handled.alone += 1;
        return Promise.resolve({ kind: 'ack' });
      },
    });
    let published = 0;
    await waitUntil(
      'both members work',
      async () => {
        await one.publish(Array.from({ length: 16 }, (_unused, key) => textRecord(topic, `${key}`, 'work')));
        published += 16;
        return handled.one.size > 0 && handled.two.size > 0;
      },
      { timeoutMs: 40_000, everyMs: 200 },
    );
    await waitUntil('all are handled', () => handled.count >= published && handled.alone >= published);
    expect(handled.alone).toBe(published);
  });

  it('goes on where the group stopped, and counts what is left', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const group = unique('group');
    const texts: string[] = [];
    const handle = (record: ReceivedRecord) => {
      texts.push(textOf(record) ?? '');
      return Promise.resolve({ kind: 'ack' as const });
    };
    await bus.publish(series(topic, 'k', 0, 5));
    const first = await bus.subscribe({ group, topics: [topic], handle });
    await waitUntil('five are handled', () => texts.length === 5);
    await waitUntil('nothing is left', async () => (await first.lag()) === 0n);
    await first.stop();
    await bus.publish(series(topic, 'k', 5, 8));
    expect(texts).toHaveLength(5);
    await bus.subscribe({ group, topics: [topic], handle });
    await waitUntil('the rest is handled', () => texts.length >= 8);
    expect(texts).toEqual(Array.from({ length: 8 }, (_unused, index) => `k:${index}`));
  });

  it('begins a new group at the end when it is told so, and remembers that', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    await bus.publish(series(topic, 'k', 0, 3));
    const texts: string[] = [];
    await bus.subscribe({
      group: unique('group'),
      topics: [topic],
      from: 'latest',
      handle: (record) => {
        texts.push(textOf(record) ?? '');
        return Promise.resolve({ kind: 'ack' });
      },
    });
    await bus.publish(series(topic, 'k', 3, 5));
    await waitUntil('two are handled', () => texts.length >= 2);
    expect(texts).toEqual(['k:3', 'k:4']);
  });

  it('handles an event id once when the handler is wrapped, however often it comes', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    let work = 0;
    let deliveries = 0;
    const once = idempotent(() => {
      work += 1;
      return Promise.resolve({ kind: 'ack' });
    });
    const subscription = await bus.subscribe({
      group: unique('group'),
      topics: [topic],
      handle: (record, context) => {
        deliveries += 1;
        return once(record, context);
      },
    });
    await bus.publish([1, 2, 3].map(() => textRecord(topic, 'k', 'same', 'the-id')));
    await bus.publish([textRecord(topic, 'k', 'other', 'another-id')]);
    await waitUntil('four came', () => deliveries === 4);
    await subscription.stop();
    expect(work).toBe(2);
  });

  it('takes nothing new while it is paused, and goes on after', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    await bus.publish(series(topic, 'k', 0, 30));
    const texts: string[] = [];
    const subscription = await bus.subscribe({
      group: unique('group'),
      topics: [topic],
      handle: (record) => {
        texts.push(textOf(record) ?? '');
        if (texts.length === 3) subscription.pause();
        return Promise.resolve({ kind: 'ack' });
      },
    });
    const lagging = await waitUntil('the position stands', async () => {
      const lag = await subscription.lag();
      return lag === 27n ? lag : undefined;
    });
    expect(lagging).toBe(27n);
    expect(texts).toHaveLength(3);
    subscription.resume();
    await waitUntil('all are handled', () => texts.length >= 30);
    expect(texts).toEqual(Array.from({ length: 30 }, (_unused, index) => `k:${index}`));
  });
}
