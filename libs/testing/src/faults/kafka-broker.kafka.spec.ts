import { SpoolingPublisher, type EventBus, type FencedWriter } from '@thalamus/events';
import { toThalamusError } from '@thalamus/errors';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { kafkaBroker, type KafkaBroker } from '../broker/kafka-broker.js';
import { BusHarness, series, textOf, textRecord, unique } from '../contracts/event-bus/bus-harness.js';
import { waitUntil } from '../wait-until.js';

/** A broker of this file's own, because it is killed here. */
let broker: KafkaBroker;
const harness = new BusHarness(() => ({ adapter: 'kafka', brokers: [broker.address] }));
beforeAll(async () => {
  broker = await kafkaBroker();
  await broker.start();
});
afterEach(() => harness.end());
afterAll(() => broker.dispose());

const LONG = { timeoutMs: 90_000 };

/** Publishes texts 0, 1, 2, ... as fast as it may, each until it is acknowledged, under the same id. */
class SteadyPublisher {
  readonly acknowledged: string[] = [];
  private stopped = false;
  private readonly work: Promise<void>;

  constructor(bus: EventBus, topic: string) {
    this.work = this.run(bus, topic);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.work;
  }

  private isStopped(): boolean {
    return this.stopped;
  }

  private async run(bus: EventBus, topic: string): Promise<void> {
    for (let index = 0; !this.isStopped(); index++) {
      const record = textRecord(topic, 'k', `${index}`, `id-${index}`);
      for (;;) {
        try {
          await bus.publish([record]);
          break;
        } catch (fault) {
          expect(fault).toMatchObject({ code: 'KAFKA_UNREACHABLE' });
          if (this.isStopped()) return;
        }
      }
      this.acknowledged.push(`${index}`);
    }
  }
}

it('coordinators that are not ready on a fresh broker: consumers, followers and leaders start all the same', async () => {
  const bus = await harness.bus();
  const topic = await harness.topic(bus);
  const handled: (string | null)[] = [];
  let writer: FencedWriter | undefined;
  await Promise.all([
    bus.subscribe({
      group: unique('group'),
      topics: [topic],
      handle: (record) => {
        handled.push(textOf(record));
        return Promise.resolve({ kind: 'ack' });
      },
    }),
    bus.campaign({
      role: unique('role'),
      candidate: 'one',
      onElected: (elected) => {
        writer = elected;
        return Promise.resolve();
      },
      onRevoked: () => (writer = undefined),
    }),
    bus.publish([textRecord(topic, 'k', 'first')]),
  ]);
  await waitUntil('it leads', () => writer, LONG);
  await waitUntil(
    'it writes',
    () =>
      writer?.append([textRecord(topic, 'k', 'second')]).then(
        () => true,
        () => false,
      ),
    LONG,
  );
  await waitUntil('both are handled', () => handled.includes('first') && handled.includes('second'), LONG);
}, 180_000);

for (const [how, end] of [
  ['killed with -9', (target: KafkaBroker) => target.kill()],
  ['restarted in order', (target: KafkaBroker) => target.stop()],
] as const) {
  it(`a broker that is ${how} in mid-stream: nothing acknowledged is lost, order holds, all come back`, async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const state = await harness.topic(bus, { compacted: true });
    const handled: string[] = [];
    await bus.subscribe({
      group: unique('group'),
      topics: [topic],
      handle: (record) => {
        handled.push(textOf(record) ?? '');
        return Promise.resolve({ kind: 'ack' });
      },
    });
    const followed: string[] = [];
    await bus.follow({ topic, onRecord: (record) => followed.push(textOf(record) ?? '') });
    let writer: FencedWriter | undefined;
    const campaign = await bus.campaign({
      role: unique('role'),
      candidate: 'one',
      onElected: (elected) => {
        writer = elected;
        return Promise.resolve();
      },
      onRevoked: () => (writer = undefined),
    });
    await waitUntil('it leads', () => writer, LONG);
    const publisher = new SteadyPublisher(bus, topic);
    await waitUntil('records flow', () => handled.length > 50, LONG);
    await end(broker);
    await waitUntil('the bus knows', () => !bus.health().ok, LONG);
    expect(bus.health().reason).toContain(broker.address);
    const before = publisher.acknowledged.length;
    await broker.start();
    await waitUntil('records flow again', () => publisher.acknowledged.length > before + 50, LONG);
    await publisher.stop();
    await waitUntil(
      'all acknowledged ones are handled',
      () => isSubset(publisher.acknowledged, handled),
      LONG,
    );
    await waitUntil('and followed', () => isSubset(publisher.acknowledged, followed), LONG);
    await waitUntil('the bus is healthy', () => bus.health().ok, LONG);
    for (const seen of [handled, followed]) {
      const firsts = [...new Set(seen)].map(Number);
      expect(firsts).toEqual([...firsts].sort((a, b) => a - b));
    }
    await waitUntil(
      'the leader writes again',
      () =>
        writer?.append([textRecord(state, 'k', 'again')]).then(
          () => true,
          () => false,
        ),
      LONG,
    );
    expect(campaign.leader()).toBe('one');
  }, 240_000);
}

it('a broker that is away: refused in bounded time as retryable; a spool keeps the records for the next process', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'thalamus-spool-'));
  const file = join(folder, 'spool.jsonl');
  const bus = await harness.bus();
  const topic = await harness.topic(bus);
  const spool = new SpoolingPublisher(bus, { file, retryMs: 200 });
  await spool.start();
  await broker.kill();
  for (const record of series(topic, 'k', 0, 5)) spool.enqueue(record);
  const fault = await bus.publish([textRecord(topic, 'k', 'x')]).then(() => undefined, toThalamusError);
  expect(fault).toMatchObject({ code: 'KAFKA_UNREACHABLE', spec: { retryable: true } });
  await spool.drain(500);
  expect(readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(5);
  await broker.start();
  const later = await harness.bus();
  const next = new SpoolingPublisher(later, { file, retryMs: 200 });
  await next.start();
  await waitUntil('the spool is empty', () => next.waiting === 0, LONG);
  await next.drain(1_000);
  const texts = new Set<string | null>();
  const follower = await later.follow({ topic, onRecord: (record) => texts.add(textOf(record)) });
  await follower.caughtUp;
  expect([...texts].filter((text) => text !== 'x')).toEqual(series(topic, 'k', 0, 5).map(textOf));
  expect(spool.dropped + next.dropped).toBe(0);
  rmSync(folder, { recursive: true, force: true });
}, 180_000);

function isSubset(part: readonly string[], whole: readonly string[]): boolean {
  const there = new Set(whole);
  return part.every((text) => there.has(text));
}
