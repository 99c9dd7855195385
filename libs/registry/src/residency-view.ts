import { timestampMs } from '@bufbuild/protobuf/wkt';
import { TOPICS, type eventsV1 } from '@thalamus/contracts';
import { decodeEvent, type EventBus, type Follower } from '@thalamus/events';

/** A host that has a version loaded. */
export interface Resident {
  readonly hostId: string;
  /** host:port of its gRPC server. */
  readonly address: string;
  readonly state: string;
  readonly expert: string;
  readonly version: string;
  readonly memoryBytes: number;
}

/** Which host has what loaded, from the residency topic. Records whose lease has lapsed count for nothing. */
export class ResidencyView {
  readonly name = 'residency view';
  private readonly records = new Map<string, eventsV1.HostResidency>();
  private follower: Follower | undefined;
  private failure: string | undefined;

  constructor(private readonly bus: EventBus) {}

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
  }

  /** Not ready once a record cannot be read: what came after it is not known. */
  readiness(): { ready: boolean; reason?: string } {
    return this.failure === undefined ? { ready: true } : { ready: false, reason: this.failure };
  }

  async close(): Promise<void> {
    await this.follower?.stop();
  }

  /** Hosts that have a version ready. */
  hostsFor(expert: string, version: string): Resident[] {
    return this.all().filter(
      (resident) => resident.expert === expert && resident.version === version && resident.state === 'ready',
    );
  }

  /** Everything that is loaded, loading or failed. */
  all(): Resident[] {
    const now = Date.now();
    return [...this.records.values()]
      .filter((record) => record.leaseExpiresAt !== undefined && timestampMs(record.leaseExpiresAt) > now)
      .map((record) => ({
        hostId: record.hostId,
        address: record.address,
        state: record.state,
        expert: record.expert,
        version: record.version,
        memoryBytes: Number(record.memoryBytes),
      }));
  }

  /** Addresses of the hosts that are alive. */
  hosts(): string[] {
    return [...new Set(this.all().map((resident) => resident.address))].sort();
  }
}
