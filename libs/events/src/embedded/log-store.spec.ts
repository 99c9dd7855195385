import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BusRecord } from '../event-bus.port.js';
import { LogStore, partitionOf, TOMBSTONE_MS } from './log-store.js';

let folder: string;
let store: LogStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'thalamus-store-'));
  store = new LogStore(join(folder, 'log.db'));
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

function record(topic: string, key: string, bytes: number | null = 10): BusRecord {
  return { topic, key, value: bytes === null ? null : new Uint8Array(bytes), headers: {} };
}

function beat(member: string, topics: readonly string[], leaseMs = 60_000) {
  const held = store.heartbeat({ group: 'g', member, topics, leaseMs, latest: false, busy: [] });
  return held.map(({ topic, partition }) => `${topic}/${partition}`);
}

describe('topics of the log', () => {
  it('are left as they are when they exist, whatever is asked', () => {
    store.ensureTopics([{ name: 't', partitions: 2, compacted: false }]);
    store.ensureTopics([{ name: 't', partitions: 5, compacted: true }]);
    expect(store.ends('t')).toEqual([0n, 0n]);
    store.append([record('t', 'k'), record('t', 'k')]);
    expect(store.fetch('t', partitionOf('k', 2), 0n, 10, 1_000)).toHaveLength(2);
  });

  it('are swept: records past their time and old tombstones go, the rest stays', () => {
    store.ensureTopics([
      { name: 'kept', partitions: 1, compacted: true },
      { name: 'short', partitions: 1, compacted: false, retentionMs: 1_000 },
    ]);
    store.append([record('kept', 'a'), record('kept', 'b', null)]);
    store.append(Array.from({ length: 1_200 }, () => record('short', 'k', 1)));
    expect(store.sweep(Date.now() + 500)).toBe(0);
    expect(store.sweep(Date.now() + 2_000)).toBe(1_200);
    expect(store.sweep(Date.now() + TOMBSTONE_MS + 2_000)).toBe(1);
    expect(store.fetch('kept', 0, 0n, 10, 1_000).map(({ key }) => key)).toEqual(['a']);
    expect(store.ends('short')).toEqual([1_200n]);
  });
});

describe('fetching from the log', () => {
  it('stops at the bytes it may return, but gives at least one record', () => {
    store.ensureTopics([{ name: 't', partitions: 1, compacted: false }]);
    store.append([
      record('t', 'k', 50_000),
      record('t', 'k', 400),
      record('t', 'k', 400),
      record('t', 'k', 400),
    ]);
    expect(store.fetch('t', 0, 0n, 10, 1_000)).toHaveLength(1);
    expect(store.fetch('t', 0, 1n, 10, 700).map(({ offset }) => offset)).toEqual([1n, 2n]);
    expect(store.fetch('t', 0, 1n, 2, 100_000)).toHaveLength(2);
    expect(store.fetch('t', 0, 9n, 10, 1_000)).toEqual([]);
  });
});

describe('groups of the log', () => {
  it('give a partition to nobody who does not want its topic', () => {
    store.ensureTopics(['x', 'y'].map((name) => ({ name, partitions: 2, compacted: false })));
    const [old, young] = ['a', 'b'];
    beat(old, ['x']);
    beat(young, ['x', 'y']);
    const held = [...beat(old, ['x']), ...beat(young, ['x', 'y'])];
    expect(held.sort()).toEqual(['x/0', 'x/1', 'y/0', 'y/1']);
  });

  it('keep a partition with a member that handles a record in it, until it is done', () => {
    store.ensureTopics([{ name: 't', partitions: 1, compacted: false }]);
    const members = ['m1', 'm2'].sort();
    const [first, second] = members as [string, string];
    expect(beat(second, ['t'])).toEqual(['t/0']);
    expect(beat(first, ['t'])).toEqual([]);
    const busy = [{ topic: 't', partition: 0 }];
    store.heartbeat({ group: 'g', member: second, topics: ['t'], leaseMs: 60_000, latest: false, busy });
    expect(beat(first, ['t'])).toEqual([]);
    expect(store.commit('g', second, 't', 0, 1n)).toBe(true);
    beat(second, ['t']);
    expect(beat(first, ['t'])).toEqual(['t/0']);
    expect(store.commit('g', second, 't', 0, 2n)).toBe(false);
  });

  it('take a partition from a member whose lease has lapsed', () => {
    store.ensureTopics([{ name: 't', partitions: 1, compacted: false }]);
    beat('dead', ['t'], -1);
    expect(beat('heir', ['t'])).toEqual(['t/0']);
    expect(store.commit('g', 'dead', 't', 0, 1n)).toBe(false);
  });
});

describe('elections of the log', () => {
  it('raise the term with each change of hands, and fence the writes of the one before', () => {
    store.ensureTopics([{ name: 't', partitions: 1, compacted: false }]);
    expect(store.campaign('r', 'h1', 'one', 60_000)).toEqual({ leader: 'one', term: 1n, held: true });
    expect(store.campaign('r', 'h2', 'two', 60_000)).toEqual({ leader: 'one', term: 1n, held: false });
    store.append([record('t', 'k')], { role: 'r', holder: 'h1', term: 1n });
    store.resign('r', 'h1');
    expect(store.campaign('r', 'h2', 'two', -1)).toEqual({ leader: 'two', term: 2n, held: true });
    expect(() => store.append([record('t', 'k')], { role: 'r', holder: 'h1', term: 1n })).toThrow(
      /two now leads/,
    );
    // Its lease has lapsed but nobody else was elected: it may still write, and renews the same term.
    store.append([record('t', 'k')], { role: 'r', holder: 'h2', term: 2n });
    expect(store.campaign('r', 'h2', 'two', -1).term).toBe(2n);
    expect(store.campaign('r', 'h1', 'one', 60_000)).toEqual({ leader: 'one', term: 3n, held: true });
    expect(store.ends('t')).toEqual([2n]);
  });
});
