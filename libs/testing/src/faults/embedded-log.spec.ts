import { EmbeddedEventBus } from '@thalamus/events';
import { toThalamusError } from '@thalamus/errors';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BusHarness, series, textOf, textRecord, unique } from '../contracts/event-bus/bus-harness.js';
import { waitUntil } from '../wait-until.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
let folder: string;
let file: string;
const harness = new BusHarness(() => ({ adapter: 'embedded', file }));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'thalamus-log-'));
  file = join(folder, 'log.db');
});
afterEach(async () => {
  await harness.end();
  rmSync(folder, { recursive: true, force: true });
});

async function textsOf(topic: string): Promise<(string | null)[]> {
  const texts: (string | null)[] = [];
  const bus = await harness.bus();
  const follower = await bus.follow({ topic, onRecord: (record) => texts.push(textOf(record)) });
  await follower.caughtUp;
  return texts;
}

/** A log with records in it, closed. */
async function writtenLog(): Promise<string> {
  const bus = await harness.bus();
  const topic = await harness.topic(bus);
  for (let round = 0; round < 10; round++)
    await bus.publish(series(topic, 'k', round * 100, round * 100 + 100));
  await bus.close();
  return topic;
}

async function openingFault(at: string) {
  const bus = new EmbeddedEventBus({ file: at });
  const fault = await bus.start().then(() => undefined, toThalamusError);
  await bus.close();
  return fault;
}

describe('embedded log, several processes', () => {
  it('two writers: every acknowledged record of both is there, in the order of each, without gaps', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const writers = ['a', 'b'].map((key) => harness.process({ kind: 'publish', topic, key, count: 200 }));
    expect(await Promise.all(writers.map((writer) => writer.ended()))).toEqual([0, 0]);
    const texts = await textsOf(topic);
    expect(texts).toHaveLength(400);
    for (const key of ['a', 'b'])
      expect(texts.filter((text) => text?.startsWith(key))).toEqual(series(topic, key, 0, 200).map(textOf));
  });

  it('many that open a new file at once: all can use it', async () => {
    const buses = await Promise.all(Array.from({ length: 8 }, () => harness.bus()));
    const [first] = buses;
    if (!first) throw new Error('a bus');
    const topic = await harness.topic(first);
    await Promise.all(buses.map((bus, index) => bus.publish([textRecord(topic, `${index}`, `${index}`)])));
    expect((await textsOf(topic)).sort()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
  });

  it('killed in mid-append: no acknowledged record is lost, and writing goes on after it', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const writer = harness.process({ kind: 'publish', topic, key: 'k', count: 100_000 });
    await writer.until('published', 150);
    await writer.kill();
    const acknowledged = writer.texts('published');
    const texts = await textsOf(topic);
    expect(texts.slice(0, acknowledged.length)).toEqual(acknowledged);
    // At most the one that was under way may stand without having been acknowledged.
    expect(texts.length - acknowledged.length).toBeLessThanOrEqual(1);
    const [at] = await bus.publish([textRecord(topic, 'k', 'next')]);
    expect(at?.offset).toBe(BigInt(texts.length));
  });
});

describe('embedded log, locked by another process', () => {
  it('waits without stalling the event loop, then writes', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const idle = await ticksDuring(() => new Promise((resolve) => setTimeout(resolve, 1_200)));
    const other = new DatabaseSync(file);
    other.exec('BEGIN IMMEDIATE');
    setTimeout(() => {
      other.exec('COMMIT');
      other.close();
    }, 1_200);
    const waiting = await ticksDuring(() => bus.publish([textRecord(topic, 'k', 'waited')]));
    expect(waiting.perSecond / idle.perSecond).toBeGreaterThan(0.5);
    expect(waiting.ticks).toBeGreaterThan(20);
    expect(await textsOf(topic)).toEqual(['waited']);
  });

  it('for too long: says so as an error that may be retried, and nothing was written', async () => {
    const bus = await harness.bus();
    const topic = await harness.topic(bus);
    const other = new DatabaseSync(file);
    other.exec('BEGIN IMMEDIATE');
    try {
      const fault = await bus.publish([textRecord(topic, 'k', 'x')]).then(() => undefined, toThalamusError);
      expect(fault).toMatchObject({ code: 'EVENT_LOG_BUSY', spec: { retryable: true } });
      expect(fault?.message).toContain(file);
    } finally {
      other.exec('COMMIT');
      other.close();
    }
    expect(await textsOf(topic)).toEqual([]);
    expect(await bus.publish([textRecord(topic, 'k', 'after')])).toHaveLength(1);
  });
});

describe('embedded log, damaged file', () => {
  it('torn in the middle: refused at start, with the file and the cure', async () => {
    await writtenLog();
    truncateSync(file, Math.floor(statSync(file).size / 2 / 4096) * 4096 + 100);
    const fault = await openingFault(file);
    expect(fault?.code).toBe('EVENT_LOG_CORRUPT');
    expect(fault?.message).toContain(file);
    expect(fault?.message).toMatch(/Move it .* away to start afresh, or restore them from a copy/);
  });

  it('pages overwritten: refused at start', async () => {
    await writtenLog();
    const handle = openSync(file, 'r+');
    for (let page = 4; page < 12; page++) writeSync(handle, Buffer.alloc(512, 0xa5), 0, 512, page * 4096);
    closeSync(handle);
    expect((await openingFault(file))?.code).toBe('EVENT_LOG_CORRUPT');
  });

  it('another kind of file, or another format: refused and left as it was', async () => {
    writeFileSync(file, 'a letter to a friend\n'.repeat(400));
    expect((await openingFault(file))?.code).toBe('EVENT_LOG_CORRUPT');
    expect(readFileSync(file, 'utf8')).toContain('a letter to a friend');
    const later = join(folder, 'later.db');
    const database = new DatabaseSync(later);
    database.exec('PRAGMA user_version = 99; CREATE TABLE theirs (x)');
    database.close();
    const fault = await openingFault(later);
    expect(fault).toMatchObject({ code: 'EVENT_LOG_CORRUPT' });
    expect(fault?.message).toContain('its format is 99');
  });

  it('a place that cannot hold a file: a setting is wrong, not the log', async () => {
    expect((await openingFault(folder))?.code).toBe('CONFIG_INVALID');
    writeFileSync(file, 'not a folder');
    const fault = await openingFault(join(file, 'log.db'));
    expect(fault).toMatchObject({ code: 'CONFIG_INVALID' });
    expect(fault?.message).toContain(file);
  });

  it('damaged while it is open: calls fail with the cure, readiness with them', async () => {
    const topic = await writtenLog();
    const bus = await harness.bus();
    const other = new DatabaseSync(file);
    other.exec('SELECT * FROM leaders');
    const handle = openSync(file, 'r+');
    for (let page = 1; page < statSync(file).size / 4096; page++)
      writeSync(handle, Buffer.alloc(4096, 0xa5), 0, 4096, page * 4096);
    closeSync(handle);
    // A write of another process makes this one look at the file again.
    other.exec("INSERT INTO leaders VALUES ('role', 'holder', 'candidate', 1, 0)");
    other.close();
    const errors: string[] = [];
    const follower = await bus.follow({
      topic,
      onRecord: () => undefined,
      onError: ({ code }) => errors.push(code),
    });
    await expect(follower.caughtUp).rejects.toMatchObject({ code: 'EVENT_LOG_CORRUPT' });
    expect(bus.health()).toMatchObject({ ok: false, reason: expect.stringContaining(file) as unknown });
    await expect(bus.publish([textRecord(topic, 'k', 'x')])).rejects.toMatchObject({
      code: 'EVENT_LOG_CORRUPT',
    });
  });
});

describe('embedded log, full disk', () => {
  it('refuses whole calls, keeps what it has, lets readers read, and goes on once there is room', async () => {
    const tight = await harness.bus({ adapter: 'embedded', file, maxPages: 100 });
    const topic = await harness.topic(tight);
    const payload = 'x'.repeat(2_000);
    let acknowledged = 0;
    let fault;
    while (fault === undefined && acknowledged < 10_000) {
      const records = [0, 1, 2].map((index) => textRecord(topic, 'k', `${acknowledged + index} ${payload}`));
      fault = await tight.publish(records).then(() => undefined, toThalamusError);
      if (fault === undefined) acknowledged += 3;
    }
    expect(acknowledged).toBeGreaterThan(30);
    expect(fault).toMatchObject({ code: 'EVENT_LOG_FULL', spec: { retryable: true } });
    expect(fault?.message).toContain(file);
    const seen: number[] = [];
    const follower = await tight.follow({
      topic,
      onRecord: (record) => seen.push(Number(textOf(record)?.split(' ')[0])),
    });
    await follower.caughtUp;
    expect(seen).toEqual(Array.from({ length: acknowledged }, (_unused, index) => index));
    await tight.close();

    const roomy = await harness.bus();
    await roomy.publish([textRecord(topic, 'k', `${acknowledged} ${payload}`)]);
    const handled: number[] = [];
    await roomy.subscribe({
      group: unique('group'),
      topics: [topic],
      handle: (record) => {
        handled.push(Number(textOf(record)?.split(' ')[0]));
        return Promise.resolve({ kind: 'ack' });
      },
    });
    await waitUntil('everything acknowledged is handled', () => handled.length > acknowledged);
    expect(handled).toEqual(Array.from({ length: acknowledged + 1 }, (_unused, index) => index));
  });
});

/** How often a timer of 5 ms fires while something is awaited. */
async function ticksDuring(work: () => Promise<unknown>): Promise<{ ticks: number; perSecond: number }> {
  let ticks = 0;
  const startedAt = performance.now();
  const timer = setInterval(() => (ticks += 1), 5);
  await work();
  clearInterval(timer);
  return { ticks, perSecond: (ticks * 1_000) / (performance.now() - startedAt) };
}
