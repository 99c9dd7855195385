import { EVENT_HEADERS, TOPICS } from '@thalamus/contracts';
import { decodeEvent, encodeEvent, encodeTombstone, type ReceivedRecord } from '@thalamus/events';
import { toThalamusError, type ThalamusError } from '@thalamus/errors';
import { expect, it } from 'vitest';
import { waitUntil } from '../../wait-until.js';
import { series, textOf, textRecord, type BusHarness } from './bus-harness.js';

function fold(into: Map<string, string>) {
  return (record: ReceivedRecord) => {
    const text = textOf(record);
    if (text === null) into.delete(record.key);
    else into.set(record.key, text);
  };
}

/** Followers, compacted topics, tombstones, headers: what a view of a state topic may rely on. */
export function stateContract(harness: BusHarness): void {
  it('rebuilds the state of a compacted topic from offset zero, with tombstones', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus, { compacted: true });
    for (let round = 0; round < 4; round++)
      await bus.publish(['a', 'b', 'c'].map((key) => textRecord(topic, key, `${key}${round}`)));
    await bus.publish([textRecord(topic, 'b', null)]);
    const expected = new Map([
      ['a', 'a3'],
      ['c', 'c3'],
    ]);
    const live = new Map<string, string>();
    const first = await bus.follow({ topic, onRecord: fold(live) });
    await first.caughtUp;
    expect(live).toEqual(expected);

    // Another process, later: the same state, and what comes after it.
    const other = await harness.bus();
    const rebuilt = new Map<string, string>();
    const second = await other.follow({ topic, onRecord: fold(rebuilt) });
    await second.caughtUp;
    expect(rebuilt).toEqual(expected);
    await bus.publish([textRecord(topic, 'b', 'back')]);
    await second.catchUp();
    expect(rebuilt.get('b')).toBe('back');
    await waitUntil('the first sees it as well', () => live.get('b') === 'back');
  });

  it('follows what was published since a moment, and nothing before it', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus, { partitions: 3 });
    await bus.publish(series(topic, 'k', 0, 40));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const sinceMs = Date.now();
    const texts = async (from: number, more: number) => {
      const seen: (string | null)[] = [];
      const follower = await bus.follow({
        topic,
        sinceMs: from,
        onRecord: (record) => seen.push(textOf(record)),
      });
      await follower.caughtUp;
      if (more > 0) await bus.publish(series(topic, 'k', 40, 40 + more));
      await follower.catchUp();
      await follower.stop();
      return seen;
    };
    // Nothing stands yet that is as new.
    expect(await texts(sinceMs, 0)).toEqual([]);
    expect(await texts(sinceMs, 20)).toEqual(series(topic, 'k', 40, 60).map(textOf));
    expect(await texts(sinceMs, 0)).toHaveLength(20);
    expect(await texts(0, 0)).toHaveLength(60);
  });

  it('sees every record up to the end before it says that it has caught up, also a single one', async () => {
    const bus = await harness.bus();
    for (const count of [0, 1, 2, 700]) {
      const topic = await harness.topic(bus);
      if (count > 0) await bus.publish(series(topic, 'k', 0, count));
      const texts: (string | null)[] = [];
      let said = 0;
      const follower = await bus.follow({
        topic,
        onRecord: (record) => texts.push(textOf(record)),
        onCaughtUp: () => (said += 1),
      });
      await follower.caughtUp;
      expect(texts).toEqual(series(topic, 'k', 0, count).map(textOf));
      expect(said).toBe(1);
      await follower.stop();
    }
  });

  it('offsets rise without end, also over compaction: none is given twice', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus, { compacted: true });
    const offsets: bigint[] = [];
    for (let round = 0; round < 5; round++) {
      const [at] = await bus.publish([textRecord(topic, 'k', `${round}`)]);
      offsets.push(at?.offset ?? -1n);
    }
    expect(offsets).toEqual([0n, 1n, 2n, 3n, 4n]);
  });

  it('a record that cannot be read: readiness fails with its offset, nothing after it is read', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const errors: ThalamusError[] = [];
    const texts: (string | null)[] = [];
    const onRecord = (record: ReceivedRecord) => {
      if (textOf(record) === 'torn') throw new Error('unexpected end of input');
      texts.push(textOf(record));
    };
    await bus.publish([textRecord(topic, 'k', 'good')]);
    const follower = await bus.follow({ topic, onRecord, onError: (error) => errors.push(error) });
    await follower.caughtUp;
    expect(errors).toEqual([]);
    await bus.publish([textRecord(topic, 'k', 'torn'), textRecord(topic, 'k', 'after')]);
    await waitUntil('it halts', () => errors.length > 0);
    expect(errors[0]).toMatchObject({
      code: 'EVENT_INVALID',
      metadata: { topic, partition: '0', offset: '1' },
    });
    expect(errors[0]?.message).toContain(`Record 1 of ${topic}`);
    await expect(follower.catchUp()).rejects.toMatchObject({ code: 'EVENT_INVALID' });
    // More records do not wake it.
    await bus.publish([textRecord(topic, 'k', 'later')]);
    await expect(follower.catchUp()).rejects.toMatchObject({ code: 'EVENT_INVALID' });
    expect(texts).toEqual(['good']);
    expect(errors).toHaveLength(1);

    // One that meets it on the way to the end never says that it has caught up.
    const late = await bus.follow({ topic, onRecord, onError: () => undefined });
    const outcome = await late.caughtUp.then(() => undefined, toThalamusError);
    expect(outcome).toMatchObject({ code: 'EVENT_INVALID', metadata: { offset: '1' } });
  });

  it('carries CloudEvents 1.0 in binary mode, and the trace context', async () => {
    const bus = await harness.bus();
    await bus.ensureTopics([{ name: TOPICS.jobChanged.name, partitions: 1, compacted: true }]);
    const key = `job-${Date.now()}`;
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const headers = { [EVENT_HEADERS.traceParent]: trace };
    await bus.publish([
      encodeEvent(
        TOPICS.jobChanged,
        { job: { id: key } },
        { source: '/updater', key, id: 'event-1', headers },
      ),
      encodeTombstone(TOPICS.jobChanged, { source: '/updater', key, id: 'event-2' }),
      encodeEvent(TOPICS.jobChanged, { job: { id: `${key}-b` } }, { source: '/updater', key: `${key}-b` }),
    ]);
    const received: ReceivedRecord[] = [];
    const follower = await bus.follow({
      topic: TOPICS.jobChanged.name,
      onRecord: (record) => {
        if (record.key.startsWith(key)) received.push(record);
      },
    });
    await follower.caughtUp;
    const tombstone = received.find((record) => record.value === null);
    const event = received.find((record) => record.key === `${key}-b`);
    expect(event?.headers).toMatchObject({
      ce_specversion: '1.0',
      ce_source: '/updater',
      ce_type: 'dev.thalamus.job.changed.v1',
      ce_subject: `${key}-b`,
      'content-type': 'application/protobuf',
    });
    expect(Date.parse(event?.headers['ce_time'] ?? '')).not.toBeNaN();
    expect(event?.headers['ce_id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(tombstone?.headers).toMatchObject({ ce_id: 'event-2', ce_type: 'dev.thalamus.job.changed.v1' });
    if (!event) throw new Error('no event');
    expect(decodeEvent(TOPICS.jobChanged, event)?.job?.id).toBe(`${key}-b`);
    const first = received.find((record) => record.headers['ce_id'] === 'event-1');
    // A compacting bus may have dropped the first; where it is still there it has the trace it was given.
    if (first) expect(first.headers['traceparent']).toBe(trace);
  });
}
