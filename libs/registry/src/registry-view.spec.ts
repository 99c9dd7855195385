import { EVENT_HEADERS, TOPICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import {
  encodeEvent,
  encodeTombstone,
  type BusRecord,
  type EventBus,
  type FollowOptions,
} from '@thalamus/events';
import { describe, expect, it } from 'vitest';
import { REGISTRY_HEAD_KEY, RegistryView } from './registry-view.js';

/** A bus that hands records to one follower. */
class OneFollower implements Pick<EventBus, 'follow'> {
  private options: FollowOptions | undefined;
  private offset = 0n;

  constructor(private readonly before: readonly BusRecord[] = []) {}

  follow(options: FollowOptions) {
    this.options = options;
    for (const record of this.before) this.send(record);
    return Promise.resolve({
      caughtUp: Promise.resolve(),
      catchUp: () => Promise.resolve(),
      position: () => this.offset - 1n,
      stop: () => Promise.resolve(),
    });
  }

  send(record: BusRecord): void {
    this.options?.onRecord({ ...record, partition: 0, offset: this.offset++, timestampMs: 0, attempt: 1 });
  }

  fail(error: ThalamusError): void {
    this.options?.onError?.(error);
  }
}

const policy = (tenant: string, revision: bigint): BusRecord => {
  const key = `policy/${tenant}`;
  const resource = { key, revision, value: { case: 'policy' as const, value: { tenant } } };
  return encodeEvent(TOPICS.registryState, resource, { source: '/test', key });
};
const removal = (tenant: string, revision: bigint): BusRecord =>
  encodeTombstone(TOPICS.registryState, {
    source: '/test',
    key: `policy/${tenant}`,
    headers: { [EVENT_HEADERS.revision]: String(revision) },
  });
const head = (revision: bigint): BusRecord =>
  encodeEvent(
    TOPICS.registryState,
    { key: REGISTRY_HEAD_KEY, revision },
    { source: '/test', key: REGISTRY_HEAD_KEY },
  );
const garbage: BusRecord = { ...policy('broken', 3n), value: Buffer.from([0xff, 0xff, 0xff]) };
const view = async (bus: OneFollower) => {
  const made = new RegistryView(bus as unknown as EventBus);
  await made.start();
  return made;
};

describe('RegistryView', () => {
  it('is not ready before it has read everything', () => {
    const waiting = new RegistryView(new OneFollower() as unknown as EventBus);
    expect(waiting.readiness().ready).toBe(false);
  });

  it('gives the newest version of a data set, by number and not by text', async () => {
    const dataset = (version: string, revision: bigint): BusRecord => {
      const key = `dataset/intents@${version}`;
      const value = { case: 'dataset' as const, value: { name: 'intents', version } };
      return encodeEvent(TOPICS.registryState, { key, revision, value }, { source: '/test', key });
    };
    const made = await view(new OneFollower([dataset('2', 1n), dataset('10', 2n), dataset('9', 3n)]));
    expect(made.dataset('intents')?.version).toBe('10');
    expect(made.dataset('other')).toBeUndefined();
  });

  it('folds changes and removals, and keeps the highest revision', async () => {
    const read = await view(
      new OneFollower([policy('a', 1n), policy('b', 2n), policy('a', 3n), removal('b', 4n)]),
    );
    expect(read.readiness()).toEqual({ ready: true });
    expect(read.list('').map(({ key, revision }) => [key, revision])).toEqual([['policy/a', 3n]]);
    expect(read.revision).toBe(4n);
  });

  it('keeps the revision of a removal whose tombstone has left the topic', async () => {
    const read = await view(new OneFollower([policy('a', 3n), head(9n)]));
    expect(read.revision).toBe(9n);
    expect(read.size).toBe(1);
    expect(read.list('head/')).toEqual([]);
  });

  it('tells listeners of changes and removals until they leave, and never of the head', async () => {
    const bus = new OneFollower();
    const read = await view(bus);
    const seen: (string | undefined)[][] = [];
    const leave = read.onChange((key, resource) => seen.push([key, resource?.key]));
    bus.send(policy('a', 1n));
    bus.send(removal('a', 2n));
    bus.send(head(2n));
    leave();
    bus.send(policy('a', 3n));
    expect(seen).toEqual([
      ['policy/a', 'policy/a'],
      ['policy/a', undefined],
    ]);
  });

  it('waits for a revision, and no longer than the signal allows', async () => {
    const bus = new OneFollower([policy('a', 1n)]);
    const read = await view(bus);
    await read.waitForRevision(1n, new AbortController().signal);
    const second = read.waitForRevision(2n, new AbortController().signal);
    bus.send(policy('b', 2n));
    await second;
    const abort = new AbortController();
    const third = read.waitForRevision(3n, abort.signal);
    abort.abort();
    await expect(third).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('stops at a record that it cannot read: not ready, the offset named, nothing after it taken', async () => {
    const bus = new OneFollower([policy('a', 1n), policy('b', 2n)]);
    const read = await view(bus);
    const waiting = read.waitForRevision(4n, new AbortController().signal);
    bus.send(garbage);
    bus.send(policy('c', 4n));
    expect(read.readiness()).toMatchObject({
      ready: false,
      reason: expect.stringContaining('record 2 of') as string,
    });
    expect(read.get('policy/c')).toBeUndefined();
    expect(read.revision).toBe(2n);
    await expect(waiting).rejects.toMatchObject({ code: 'REGISTRY_NOT_READY' });
    await expect(read.refresh()).rejects.toMatchObject({ code: 'REGISTRY_NOT_READY' });
  });

  it('is not ready when the bus has failed for good', async () => {
    const bus = new OneFollower();
    const read = await view(bus);
    bus.fail(new ThalamusError('EVENT_LOG_CORRUPT', 'The log is torn.'));
    expect(read.readiness()).toEqual({ ready: false, reason: 'The log is torn.' });
  });

  it('stays ready with what it has read while the bus is away', async () => {
    const bus = new OneFollower([policy('a', 1n)]);
    const read = await view(bus);
    bus.fail(new ThalamusError('KAFKA_UNREACHABLE', 'No broker answers.'));
    expect(read.readiness()).toEqual({ ready: true });
    bus.send(policy('b', 2n));
    expect(read.revision).toBe(2n);
  });

  it('gives the policy of a tenant, else that of default', async () => {
    const read = await view(new OneFollower([policy('default', 1n), policy('acme', 2n)]));
    expect(read.policy('acme')?.tenant).toBe('acme');
    expect(read.policy('other')?.tenant).toBe('default');
  });
});
