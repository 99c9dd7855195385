import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { TOPICS } from '@thalamus/contracts';
import { encodeEvent, encodeTombstone, type BusRecord, type FollowOptions } from '@thalamus/events';
import { ThalamusError } from '@thalamus/errors';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ResidencyView } from './residency-view.js';

const LEASE_MS = 10_000;

/** A clock that is set by hand, and a bus with one reader that can go away. */
class Surroundings {
  now = 1_700_000_000_000;
  isAway = false;
  private options: FollowOptions | undefined;
  private offset = 0n;
  readonly bus = {
    follow: (options: FollowOptions) => {
      this.options = options;
      return Promise.resolve({
        caughtUp: Promise.resolve(),
        catchUp: () =>
          this.isAway
            ? Promise.reject(new ThalamusError('KAFKA_UNREACHABLE', 'No broker answers.'))
            : Promise.resolve(),
        stop: () => Promise.resolve(),
      });
    },
  };
  readonly view = new ResidencyView(this.bus, () => this.now);

  renew(hostId: string): void {
    this.send(
      encodeEvent(
        TOPICS.hostResidency,
        {
          hostId,
          address: `${hostId}:7403`,
          expert: 'banking77',
          version: '1',
          state: 'ready',
          leaseExpiresAt: timestampFromMs(this.now + LEASE_MS),
        },
        { source: '/test', key: `${hostId}/banking77@1` },
      ),
    );
  }

  withdraw(hostId: string): void {
    this.send(encodeTombstone(TOPICS.hostResidency, { source: '/test', key: `${hostId}/banking77@1` }));
  }

  /** Lets time pass, second by second, with a look at the bus in each. */
  async pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      this.now += 1_000;
      await this.view.prove();
    }
  }

  hosts(): string[] {
    return this.view.hostsFor('banking77', '1').map(({ hostId }) => hostId);
  }

  private send(record: BusRecord): void {
    this.options?.onRecord({
      ...record,
      partition: 0,
      offset: this.offset++,
      timestampMs: this.now,
      attempt: 1,
    });
  }
}

let mesh: Surroundings;
beforeEach(async () => {
  mesh = new Surroundings();
  await mesh.view.start();
});
afterEach(() => mesh.view.close());

describe('ResidencyView', () => {
  it('believes a host for as long as its lease, and not after it withdraws', async () => {
    mesh.renew('a');
    mesh.renew('b');
    await mesh.pass(9);
    mesh.renew('b');
    expect(mesh.hosts()).toEqual(['a', 'b']);
    await mesh.pass(2);
    expect(mesh.hosts()).toEqual(['b']);
    mesh.withdraw('b');
    expect(mesh.hosts()).toEqual([]);
  });

  it('lets no lease lapse while the bus is away: nobody could renew it', async () => {
    mesh.renew('a');
    await mesh.pass(5);
    mesh.isAway = true;
    await mesh.pass(600);
    expect(mesh.hosts()).toEqual(['a']);
  });

  it('gives hosts a while to be heard after an outage, then counts again', async () => {
    mesh.renew('a');
    mesh.renew('dead');
    await mesh.pass(5);
    mesh.isAway = true;
    await mesh.pass(60);
    mesh.isAway = false;
    await mesh.pass(8);
    expect(mesh.hosts()).toEqual(['a', 'dead']);
    mesh.renew('a');
    await mesh.pass(9);
    expect(mesh.hosts()).toEqual(['a']);
  });

  it('does not bring back a host whose lease had lapsed before the outage', async () => {
    mesh.renew('dead');
    await mesh.pass(12);
    mesh.isAway = true;
    await mesh.pass(60);
    expect(mesh.hosts()).toEqual([]);
  });
});
