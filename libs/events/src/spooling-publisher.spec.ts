import { ThalamusError } from '@thalamus/errors';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BusRecord, EventBus } from './event-bus.port.js';
import { SpoolingPublisher, type SpoolOptions } from './spooling-publisher.js';

type Behaviour = (records: readonly BusRecord[]) => Promise<void>;

/** A bus that keeps what it takes; `behave` may refuse or hang first. */
class ScriptedBus implements Pick<EventBus, 'publish'> {
  readonly taken: string[] = [];
  behave: Behaviour = () => Promise.resolve();

  async publish(records: readonly BusRecord[]) {
    await this.behave(records);
    this.taken.push(...records.map(({ key }) => key));
    return [];
  }
}

const away: Behaviour = () => Promise.reject(new ThalamusError('KAFKA_UNREACHABLE', 'No broker.'));
let folder: string;
let file: string;
let bus: ScriptedBus;
const spools: SpoolingPublisher[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'thalamus-spool-'));
  file = join(folder, 'spool.jsonl');
  bus = new ScriptedBus();
});
afterEach(async () => {
  await Promise.all(spools.splice(0).map((spool) => spool.drain(0)));
  rmSync(folder, { recursive: true, force: true });
});

async function spoolOn(options: Partial<SpoolOptions> = {}): Promise<SpoolingPublisher> {
  const spool = new SpoolingPublisher(bus, { file, retryMs: 20, ...options });
  spools.push(spool);
  await spool.start();
  return spool;
}

function record(key: string, bytes = 10): BusRecord {
  return { topic: 'test.spool.v1', key, value: new Uint8Array(bytes).fill(7), headers: { ce_id: key } };
}

function keys(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_unused, index) => `${from + index}`);
}

function keysOnDisk(): string[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as BusRecord).key);
}

describe('spool', () => {
  it('publishes in order, in the background, and leaves no file', async () => {
    const spool = await spoolOn();
    for (const key of keys(0, 450)) spool.enqueue(record(key));
    expect(bus.taken).toEqual([]);
    await expect.poll(() => bus.taken.length).toBe(450);
    expect(bus.taken).toEqual(keys(0, 450));
    expect([spool.waiting, spool.dropped]).toEqual([0, 0]);
    expect(existsSync(file)).toBe(false);
  });

  it('gives the first record to the bus at once, and what comes while it rests as one batch', async () => {
    const batches: number[] = [];
    bus.behave = (records) => {
      batches.push(records.length);
      return Promise.resolve();
    };
    const spool = await spoolOn({ gatherMs: 60_000 });
    spool.enqueue(record('0'));
    await expect.poll(() => bus.taken.length).toBe(1);
    for (const key of keys(1, 6)) {
      spool.enqueue(record(key));
      await Promise.resolve();
    }
    expect([batches, spool.waiting]).toEqual([[1], 5]);
    await spool.drain(1_000);
    expect([batches, spool.waiting]).toEqual([[1, 5], 0]);
  });

  it('bus away: records go to disk as they come, and to the bus once it is back', async () => {
    bus.behave = away;
    const spool = await spoolOn();
    for (const key of keys(0, 3)) spool.enqueue(record(key));
    await expect.poll(keysOnDisk).toEqual(['0', '1', '2']);
    spool.enqueue(record('3'));
    await expect.poll(keysOnDisk).toEqual(['0', '1', '2', '3']);
    bus.behave = () => Promise.resolve();
    await expect.poll(() => bus.taken).toEqual(['0', '1', '2', '3']);
    await expect.poll(() => existsSync(file)).toBe(false);
  });

  it('bus slow: what it has been offered is on disk before it answers, so that a kill loses nothing', async () => {
    let answer: () => void = () => undefined;
    bus.behave = () => new Promise((resolve) => (answer = resolve));
    const spool = await spoolOn();
    spool.enqueue(record('a'));
    await expect.poll(keysOnDisk).toEqual(['a']);
    answer();
    await expect.poll(() => spool.waiting).toBe(0);
  });

  it('queue full: the oldest that wait are dropped and counted; what the bus is being given is not lost', async () => {
    let answer: () => void = () => undefined;
    bus.behave = () => new Promise((resolve) => (answer = resolve));
    const spool = await spoolOn({ maxRecords: 300, retryMs: 10_000 });
    for (const key of keys(0, 250)) spool.enqueue(record(key));
    // The first was offered alone or in a batch of up to 200; all later ones overflow the queue behind it.
    await expect.poll(() => typeof answer).toBe('function');
    for (const key of keys(250, 600)) spool.enqueue(record(key));
    expect(spool.waiting).toBe(300);
    expect(spool.dropped).toBe(300);
    bus.behave = () => Promise.resolve();
    answer();
    await expect.poll(() => spool.waiting).toBe(0);
    expect(bus.taken).toHaveLength(300);
    expect(bus.taken.slice(-100)).toEqual(keys(500, 600));
    expect(bus.taken[0]).toBe('0');
    expect(new Set(bus.taken).size).toBe(300);
  });

  it('queue full by bytes: the same', async () => {
    bus.behave = away;
    const spool = await spoolOn({ maxBytes: 10_000, retryMs: 10_000 });
    for (const key of keys(0, 20)) spool.enqueue(record(key, 1_000));
    expect(spool.waiting).toBe(9);
    expect(spool.dropped).toBe(11);
  });

  it('a record that the bus will never take: it alone is dropped, the others arrive in order', async () => {
    bus.behave = (records) =>
      records.some(({ key }) => key === 'poison')
        ? Promise.reject(new ThalamusError('EVENT_TOO_LARGE', 'Too large.'))
        : Promise.resolve();
    const spool = await spoolOn();
    for (const key of ['a', 'b', 'poison', 'c']) spool.enqueue(record(key));
    await expect.poll(() => spool.waiting).toBe(0);
    expect(bus.taken).toEqual(['a', 'b', 'c']);
    expect(spool.dropped).toBe(1);
  });

  it('an end with the bus away or hanging: bounded, everything on disk, taken up by the next process', async () => {
    bus.behave = () => new Promise(() => undefined);
    const first = await spoolOn({ retryMs: 10_000 });
    for (const key of keys(0, 3)) first.enqueue(record(key));
    await first.drain(50);
    expect(keysOnDisk()).toEqual(['0', '1', '2']);
    bus.behave = () => Promise.resolve();
    const second = await spoolOn();
    await expect.poll(() => bus.taken).toEqual(['0', '1', '2']);
    await second.drain(1_000);
    expect(existsSync(file)).toBe(false);
  });

  it('a torn or foreign line in the file: moved aside, the others are taken', async () => {
    const good = JSON.stringify({ ...record('good'), value: 'AQI=' });
    writeFileSync(file, `${good}\n{"topic":"test.spool.v1","key":"to\n{"key":1}\n`);
    await spoolOn();
    await expect.poll(() => bus.taken).toEqual(['good']);
    expect(readFileSync(`${file}.damaged`, 'utf8').trim().split('\n')).toHaveLength(2);
  });

  it('a disk that takes nothing: records stay in memory within the bound, and arrive later', async () => {
    bus.behave = away;
    const spool = await spoolOn({ maxRecords: 5, retryMs: 20 });
    mkdirSync(file);
    for (const key of keys(0, 8)) spool.enqueue(record(key));
    expect([spool.waiting, spool.dropped]).toEqual([5, 3]);
    rmSync(file, { recursive: true });
    bus.behave = () => Promise.resolve();
    // The bus was being given the first one when the queue overflowed: it is not among the dropped.
    await expect.poll(() => bus.taken).toEqual(['0', ...keys(4, 8)]);
  });
});
