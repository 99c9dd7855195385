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
  /** Those of them that it shares with nobody. */
  readonly ownBytes: number;
  /** Why it could not be loaded: a code of the error table, else empty. */
  readonly errorCode: string;
  readonly isPinned: boolean;
  readonly priority: number;
  /** Unix milliseconds; undefined before its first request. */
  readonly lastUsedAtMs: number | undefined;
  /** Inference process that it runs in; empty while it is not loaded. */
  readonly process: string;
  /** Requests that wait for it to be loaded. */
  readonly waiting: number;
}

/** A host that is alive, with everything that it serves. */
export interface FleetHost {
  readonly hostId: string;
  /** host:port of its gRPC server. */
  readonly address: string;
  /** What it has in memory; undefined for one that does not say. */
  readonly memory: eventsV1.HostMemory | undefined;
  readonly residents: readonly Resident[];
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
    return this.residents(() => true);
  }

  /** Hosts that are alive, by address, with everything that they serve, by name. */
  fleet(): FleetHost[] {
    const byHost = Map.groupBy(
      this.alive(() => true),
      ({ hostId }) => hostId,
    );
    return [...byHost]
      .map(([hostId, records]) => ({
        hostId,
        address: records[0]?.address ?? '',
        memory: records.find(isOfHost)?.memory,
        residents: records
          .filter((record) => !isOfHost(record))
          .map(residentOf)
          .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)),
      }))
      .sort((a, b) => (a.address < b.address ? -1 : 1));
  }

  /** Addresses of the hosts that are alive. */
  hosts(): string[] {
    return [...new Set(this.alive(() => true).map(({ address }) => address))].sort();
  }

  private of(expert: string, version: string): Resident[] {
    return this.residents((record) => record.expert === expert && record.version === version);
  }

  private residents(isWanted: (record: eventsV1.HostResidency) => boolean): Resident[] {
    return this.alive((record) => isWanted(record) && !isOfHost(record)).map(residentOf);
  }

  /** Records whose lease has not lapsed. */
  private alive(isWanted: (record: eventsV1.HostResidency) => boolean): eventsV1.HostResidency[] {
    const time = this.clock.unixMs;
    const alive: eventsV1.HostResidency[] = [];
    for (const record of this.records.values()) {
      if (!isWanted(record) || !record.leaseExpiresAt || timestampMs(record.leaseExpiresAt) <= time) continue;
      alive.push(record);
    }
    return alive;
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

/** True for the record of a host itself. */
function isOfHost({ expert }: eventsV1.HostResidency): boolean {
  return expert === '';
}

function residentOf(record: eventsV1.HostResidency): Resident {
  const { hostId, address, state, expert, version, errorCode, priority, process, waiting } = record;
  return {
    ...{ hostId, address, state, expert, version, errorCode, priority, process, waiting },
    memoryBytes: Number(record.memoryBytes),
    ownBytes: Number(record.ownBytes),
    isPinned: record.pinned,
    lastUsedAtMs: record.lastUsedAt && timestampMs(record.lastUsedAt),
  };
}

function nameOf({ expert, version }: Resident): string {
  return `${expert}@${version}`;
}
