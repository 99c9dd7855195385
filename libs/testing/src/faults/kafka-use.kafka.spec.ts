import { KafkaEventBus } from '@thalamus/events';
import { toThalamusError } from '@thalamus/errors';
import { Kafka, logLevel, type Admin } from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { freePorts } from '../broker/free-ports.js';
import { BusHarness, series, textOf, textRecord, unique } from '../contracts/event-bus/bus-harness.js';
import { waitUntil } from '../wait-until.js';

const harness = new BusHarness(() => ({ adapter: 'kafka', brokers: inject('kafkaBrokers') }));
let kafka: Kafka;
let admin: Admin;
beforeAll(async () => {
  kafka = new Kafka({ clientId: 'faults', brokers: [...inject('kafkaBrokers')], logLevel: logLevel.NOTHING });
  admin = kafka.admin();
  await admin.connect();
});
afterAll(() => admin.disconnect());
afterEach(() => harness.end());

async function topicWith(settings: Record<string, string>): Promise<string> {
  const topic = unique('test.strict');
  await admin.createTopics({
    waitForLeaders: true,
    topics: [
      {
        topic,
        numPartitions: 1,
        configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
      },
    ],
  });
  return topic;
}

describe('Kafka that refuses', () => {
  it('no broker: one message that names the address and the setting, in the time given', async () => {
    const [port] = await freePorts(1);
    const bus = new KafkaEventBus({ brokers: [`127.0.0.1:${port}`], clientId: 'x', connectTimeoutMs: 500 });
    const fault = await bus.start().then(() => undefined, toThalamusError);
    await bus.close();
    expect(fault?.code).toBe('KAFKA_UNREACHABLE');
    expect(fault?.message).toContain(`127.0.0.1:${port}`);
    expect(fault?.message).toContain('THALAMUS_KAFKA_BROKERS');
  });

  it('a topic that takes less than we allow: the record is too large, the next one is taken', async () => {
    const bus = await harness.bus();
    const topic = await topicWith({ 'max.message.bytes': '2000' });
    await expect(bus.publish([textRecord(topic, 'k', 'x'.repeat(5_000))])).rejects.toMatchObject({
      code: 'EVENT_TOO_LARGE',
    });
    expect(await bus.publish([textRecord(topic, 'k', 'small')])).toMatchObject([{ offset: 0n }]);
    expect(bus.health()).toEqual({ ok: true });
  });
});

describe('Kafka transactions', () => {
  it('aborted ones at the end of a topic: never shown, and a follower still catches up', async () => {
    const bus = await harness.bus();
    const topic = await topicWith({ 'cleanup.policy': 'compact' });
    const producer = kafka.producer({
      transactionalId: unique('tx'),
      idempotent: true,
      maxInFlightRequests: 1,
    });
    await producer.connect();
    const write = async (text: string, end: 'commit' | 'abort') => {
      const transaction = await producer.transaction();
      await transaction.send({ topic, messages: [{ key: 'k', value: text }] });
      await transaction[end]();
    };
    await write('kept', 'commit');
    await write('gone', 'abort');
    await write('gone as well', 'abort');
    await producer.disconnect();
    const texts: (string | null)[] = [];
    const follower = await bus.follow({ topic, onRecord: (record) => texts.push(textOf(record)) });
    await follower.caughtUp;
    expect(texts).toEqual(['kept']);
  });
});

describe('Kafka rebalancing', () => {
  it('members that come and go while records are handled: nothing is lost, order holds, little comes twice', async () => {
    const [one, two] = [await harness.bus(), await harness.bus()];
    const topic = await harness.topic(one, { partitions: 4 });
    const group = unique('group');
    const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
    const total = keys.length * 50;
    const handled: string[] = [];
    const handle = async (record: { value: Uint8Array | null }) => {
      await new Promise((resolve) => setTimeout(resolve, 25));
      handled.push(textOf(record) ?? '');
      return { kind: 'ack' as const };
    };
    await one.subscribe({ group, topics: [topic], handle });
    await one.publish(keys.flatMap((key) => series(topic, key, 0, 50)));
    for (let round = 1; round <= 3; round++) {
      const before = handled.length;
      const guest = await two.subscribe({ group, topics: [topic], handle });
      await waitUntil('work goes on', () => handled.length >= Math.min(total, before + 25), {
        timeoutMs: 40_000,
      });
      await guest.stop();
    }
    await waitUntil('all are handled', () => new Set(handled).size === total, { timeoutMs: 40_000 });
    for (const key of keys) {
      const first = handled.filter(
        (text, index) => text.startsWith(`${key}:`) && handled.indexOf(text) === index,
      );
      expect(first).toEqual(series(topic, key, 0, 50).map(textOf));
    }
    // Each of the six changes may hand over a record that was in hand, per partition.
    expect(handled.length - total).toBeLessThanOrEqual(6 * 4);
  });
});
