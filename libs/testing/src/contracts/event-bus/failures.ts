import { deadLetterTopic, EVENT_HEADERS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { MAX_RECORD_BYTES, type ReceivedRecord } from '@thalamus/events';
import { expect, it } from 'vitest';
import { waitUntil } from '../../wait-until.js';
import { series, textOf, textRecord, unique, type BusHarness } from './bus-harness.js';

/** Retries, dead letters and refusals: what happens when handling or publishing fails. */
export function failureContract(harness: BusHarness): void {
  it('a handler that fails: tried again with growing waits and rising attempts, in order, then handled', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const tries: { attempt: number; atMs: number }[] = [];
    const done: string[] = [];
    await bus.subscribe({
      group: unique('group'),
      topics: [topic],
      backoffMs: { initial: 60, max: 1_000 },
      handle: (record) => {
        if (textOf(record) === 'k:0') {
          tries.push({ attempt: record.attempt, atMs: performance.now() });
          if (record.attempt === 1) throw new Error('not yet');
          if (record.attempt < 4) return Promise.resolve({ kind: 'retry' });
        }
        done.push(textOf(record) ?? '');
        return Promise.resolve({ kind: 'ack' });
      },
    });
    await bus.publish(series(topic, 'k', 0, 3));
    await waitUntil('all are handled', () => done.length >= 3);
    expect(done).toEqual(['k:0', 'k:1', 'k:2']);
    expect(tries.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
    const waits = tries.slice(1).map(({ atMs }, index) => atMs - (tries[index]?.atMs ?? 0));
    // Waits are 60, 120 and 240 ms, each give or take a fifth: never shorter than that, whatever the machine does.
    expect(waits.map((wait, index) => wait >= 48 * 2 ** index - 2)).toEqual([true, true, true]);
  });

  it('what handling needs is away: the record waits however often, and counts as tried only for its own faults', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const attempts: number[] = [];
    const done: string[] = [];
    const letters: ReceivedRecord[] = [];
    await bus.subscribe({
      group: unique('group'),
      topics: [topic],
      maxAttempts: 2,
      backoffMs: { initial: 5, max: 10 },
      handle: ({ attempt, ...record }) => {
        const text = textOf(record) ?? '';
        if (text === 'k:0') {
          attempts.push(attempt);
          if (attempt < 8) return Promise.resolve({ kind: 'wait', error: away() });
          if (attempt === 8) throw new Error('a fault of its own');
        }
        done.push(text);
        return Promise.resolve({ kind: 'ack' });
      },
    });
    await bus.follow({ topic: deadLetterTopic(topic), onRecord: (record) => letters.push(record) });
    await bus.publish(series(topic, 'k', 0, 3));
    await waitUntil('all are handled', () => done.length >= 3);
    expect(attempts).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(done).toEqual(['k:0', 'k:1', 'k:2']);
    expect(letters).toEqual([]);
  });

  it('a consumer that is stopped while a record waits: it ends at once, and the next one gets the record', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const group = unique('group');
    let tries = 0;
    const first = await bus.subscribe({
      group,
      topics: [topic],
      handle: () => {
        tries += 1;
        return Promise.resolve({ kind: 'wait', error: away(), afterMs: 3_600_000 });
      },
    });
    await bus.publish(series(topic, 'k', 0, 1));
    await waitUntil('it waits', () => tries === 1);
    await first.stop();
    const done: string[] = [];
    await bus.subscribe({
      group,
      topics: [topic],
      handle: (record) => {
        done.push(textOf(record) ?? '');
        return Promise.resolve({ kind: 'ack' });
      },
    });
    await waitUntil('the next one has it', () => done.length === 1);
    expect([done, tries]).toEqual([['k:0'], 1]);
  });

  it('a poison record: becomes a dead letter with its facts and blocks nobody', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const done: string[] = [];
    const letters: ReceivedRecord[] = [];
    await bus.subscribe({
      group: unique('group'),
      topics: [topic],
      maxAttempts: 3,
      backoffMs: { initial: 5, max: 10 },
      handle: (record) => {
        const text = textOf(record) ?? '';
        if (text === 'poison') throw new ThalamusError('DATASET_INVALID', 'The row has no label.');
        if (text === 'refused')
          return Promise.resolve({ kind: 'deadLetter', error: new ThalamusError('EVENT_INVALID', 'No.') });
        done.push(text);
        return Promise.resolve({ kind: 'ack' });
      },
    });
    await bus.follow({ topic: deadLetterTopic(topic), onRecord: (record) => letters.push(record) });
    const texts = ['before', 'poison', 'between', 'refused', 'after'];
    const positions = await bus.publish(texts.map((text) => textRecord(topic, 'k', text, `id-${text}`)));
    await waitUntil(
      'both are dead letters and the others are handled',
      () => letters.length >= 2 && done.length >= 3,
    );
    expect(done).toEqual(['before', 'between', 'after']);
    expect(letters.map(textOf)).toEqual(['poison', 'refused']);
    expect(letters.map(({ key }) => key)).toEqual(['k', 'k']);
    expect(letters[0]?.headers).toMatchObject({
      [EVENT_HEADERS.id]: 'id-poison',
      [EVENT_HEADERS.errorCode]: 'DATASET_INVALID',
      [EVENT_HEADERS.attempt]: '3',
      [EVENT_HEADERS.originTopic]: topic,
      [EVENT_HEADERS.originPartition]: '0',
      [EVENT_HEADERS.originOffset]: String(positions[1]?.offset),
    });
    expect(letters[0]?.headers[EVENT_HEADERS.errorMessage]).toContain('The row has no label.');
    expect(letters[1]?.headers).toMatchObject({
      [EVENT_HEADERS.errorCode]: 'EVENT_INVALID',
      [EVENT_HEADERS.attempt]: '1',
      [EVENT_HEADERS.originOffset]: String(positions[3]?.offset),
    });
  });

  it('a poison record of the largest size: its dead letter is taken too', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const empty = textRecord(topic, 'k', '', 'largest');
    const room = MAX_RECORD_BYTES - 'k'.length - EVENT_HEADERS.id.length - 'largest'.length - 200;
    const letters: ReceivedRecord[] = [];
    const done: string[] = [];
    await bus.publish([{ ...empty, value: new Uint8Array(room) }, textRecord(topic, 'k', 'next')]);
    await bus.subscribe({
      group: unique('group'),
      topics: [topic],
      handle: (record) => {
        if ((record.value?.byteLength ?? 0) > 100)
          return Promise.resolve({
            kind: 'deadLetter',
            error: new ThalamusError('EVENT_INVALID', 'é'.repeat(2_000)),
          });
        done.push(textOf(record) ?? '');
        return Promise.resolve({ kind: 'ack' });
      },
    });
    await bus.follow({ topic: deadLetterTopic(topic), onRecord: (record) => letters.push(record) });
    await waitUntil('the next one is handled', () => done.length === 1 && letters.length === 1);
    expect(letters[0]?.value?.byteLength).toBe(room);
  });

  it('a record that is too large: refused with its size, and the bus goes on', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const large = { ...textRecord(topic, 'k', ''), value: new Uint8Array(MAX_RECORD_BYTES + 1) };
    await expect(bus.publish([large])).rejects.toMatchObject({
      code: 'EVENT_TOO_LARGE',
      message: expect.stringContaining(topic) as unknown,
    });
    expect(await bus.publish([textRecord(topic, 'k', 'small')])).toHaveLength(1);
    expect(bus.health()).toEqual({ ok: true });
  });

  it('many records that are large together: all taken in one call, in order', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const records = Array.from({ length: 12 }, (_unused, index) => ({
      ...textRecord(topic, 'k', ''),
      value: new Uint8Array(400_000).fill(index),
    }));
    expect((await bus.publish(records)).map(({ offset }) => offset)).toEqual(
      records.map((_record, index) => BigInt(index)),
    );
    const seen: number[] = [];
    const follower = await bus.follow({ topic, onRecord: ({ value }) => seen.push(value?.[399_999] ?? -1) });
    await follower.caughtUp;
    expect(seen).toEqual(records.map((_record, index) => index));
  });

  it('a topic that does not exist: says so, for publishing and for following', async () => {
    const bus = await harness.bus();
    const refusal = { code: 'EVENT_INVALID', message: expect.stringContaining('test.absent.v1') as unknown };
    await expect(bus.publish([textRecord('test.absent.v1', 'k', 'x')])).rejects.toMatchObject(refusal);
    const following = bus.follow({ topic: 'test.absent.v1', onRecord: () => undefined });
    await expect(following.then((follower) => follower.caughtUp)).rejects.toMatchObject(refusal);
  });
}

const away = () => new ThalamusError('KAFKA_UNREACHABLE', 'No broker answers just now.');
