import { timestampMs } from '@bufbuild/protobuf/wkt';
import { TOPICS, type eventsV1 } from '@thalamus/contracts';
import { decodeEvent, type EventBus, type Follower } from '@thalamus/events';
import { LeaseClock } from './lease-clock.js';

/** How often the bus is asked whether it can be read, milliseconds. */
const PROVE_MS = 500;

/** States of a version whose host answers a request for it after a load. */
const LOADED_WHEN_ASKED: ReadonlySet<string> = new Set(['registered', 'loading', 'draining']);

/** A host that serves a version. */
export interface Resident {
  readonly hostId: string;
  /** host:port of its gRPC server. */
  readonly address: string;
  readonly state: string;
  readonly expert: string;
  readonly version: string;
  readonly memoryBytes: number;
}

/**
 * Which host has what loaded, from the residency topic. Records whose lease has lapsed count for nothing; while the bus is
 * away no lease lapses.
 */
export class ResidencyView {
  readonly name = 'residency view';
  private readonly records = new Map<string, eventsV1.HostResidency>();
  private follower: Follower | undefined;
  private failure: string | undefined;
  private readonly clock: LeaseClock;
  private proving: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly bus: Pick<EventBus, 'follow'>,
    private readonly now: () => number = Date.now,
  ) {
    this.clock = new LeaseClock(now);
  }

  async start(): Promise<void> {
    this.follower = await this.bus.follow({
      topic: TOPICS.hostResidency.name,
      onRecord: (record) => {
        const residency = decodeEvent(TOPICS.hostResidency, record);
        if (residency) this.records.set(record.key, residency);
        else this.records.delete(record.key);
      },
      onError: (error) => {
        // A bus that is away comes back, and the follower goes on by itself.
        if (!error.spec.retryable) this.failure = error.message;
      },
    });
    await this.follower.caughtUp;
    this.clock.proven(this.now());
    this.timer = setInterval(() => void this.prove(), PROVE_MS).unref();
  }

  /** Not ready once a record cannot be read: what came after it is not known. */
  readiness(): { ready: boolean; reason?: string } {
    return this.failure === undefined ? { ready: true } : { ready: false, reason: this.failure };
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.follower?.stop();
  }

  /** Asks the bus whether it can be read; one question at a time. */
  prove(): Promise<void> {
    this.proving ??= this.proveOnce().finally(() => {
      this.proving = undefined;
    });
    return this.proving;
  }

  /** Hosts that have a version ready. */
  hostsFor(expert: string, version: string): Resident[] {
    return this.of(expert, version).filter(({ state }) => state === 'ready');
  }

  /** Hosts that load a version when it is asked for, or are about to have loaded it. */
  hostsThatLoad(expert: string, version: string): Resident[] {
    return this.of(expert, version).filter(({ state }) => LOADED_WHEN_ASKED.has(state));
  }

  /** Everything that hosts serve or have failed to load. */
  all(): Resident[] {
    return this.alive(() => true);
  }

  /** Addresses of the hosts that are alive. */
  hosts(): string[] {
    return [...new Set(this.all().map((resident) => resident.address))].sort();
  }

  private of(expert: string, version: string): Resident[] {
    return this.alive((record) => record.expert === expert && record.version === version);
  }

  private alive(isWanted: (record: eventsV1.HostResidency) => boolean): Resident[] {
    const time = this.clock.unixMs;
    const residents: Resident[] = [];
    for (const record of this.records.values()) {
      if (!isWanted(record) || !record.leaseExpiresAt || timestampMs(record.leaseExpiresAt) <= time) continue;
      const { hostId, address, state, expert, version, memoryBytes } = record;
      residents.push({ hostId, address, state, expert, version, memoryBytes: Number(memoryBytes) });
    }
    return residents;
  }

  private async proveOnce(): Promise<void> {
    const askedAt = this.now();
    await this.follower?.catchUp().then(
      () => {
        this.clock.proven(askedAt);
      },
      // The bus is away, or a record cannot be read: time stands still.
      () => undefined,
    );
  }
}
