import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { TOPICS } from '@thalamus/contracts';
import { encodeEvent, encodeTombstone, type BusRecord, type EventBus } from '@thalamus/events';
import type { RegistryView } from '@thalamus/registry';
import { createLogger } from '@thalamus/telemetry';
import type { ExpertLibrary } from '../../application/expert-library.js';
import { keyOf, type Slot } from '../../application/slot.js';
import { memoryPart, versionPart, type HostFacts } from './residency-records.js';

const SOURCE = '/expert-host';
/** How long after a change the host says what it has in memory, milliseconds: changes come in swarms. */
const SETTLE_MS = 200;

/** Who publishes, and what there is to say of it. */
export interface PublishingHost {
  readonly id: string;
  /** host:port of its gRPC server. */
  readonly address: () => string;
  readonly leaseMs: number;
  readonly facts: () => HostFacts;
}

/** Tells the mesh what is in memory here, renews it before the lease ends, and takes it back when the host stops. */
export class ResidencyPublisher {
  readonly name = 'residency publisher';
  private readonly published = new Set<string>();
  private readonly startedAtMs = Date.now();
  private timer: NodeJS.Timeout | undefined;
  private settling: NodeJS.Timeout | undefined;
  private stopping = false;
  private last: Promise<void> = Promise.resolve();
  private readonly logger = createLogger('residency');

  constructor(
    private readonly bus: EventBus,
    private readonly library: ExpertLibrary,
    private readonly view: RegistryView,
    private readonly host: PublishingHost,
  ) {}

  async start(): Promise<void> {
    this.library.onChange((slot) => {
      void this.publish(() => [this.record(slot)]);
      this.settling ??= setTimeout(() => {
        this.settling = undefined;
        void this.publish(() => [this.ownRecord()]);
      }, SETTLE_MS).unref();
    });
    await this.publish(() => this.records());
    this.timer = setInterval(() => void this.publish(() => this.records()), this.host.leaseMs / 3);
  }

  /** Withdraws everything first, so that no new request comes while the last ones end. */
  async drain(): Promise<void> {
    this.stopping = true;
    clearInterval(this.timer);
    clearTimeout(this.settling);
    await this.last;
    const tombstones = [...this.published].map((key) =>
      encodeTombstone(TOPICS.hostResidency, { source: SOURCE, key }),
    );
    if (tombstones.length > 0) await this.bus.publish(tombstones);
  }

  /** One after the other: a "ready" that was overtaken by its own withdrawal would stand until its lease ends. */
  private publish(records: () => BusRecord[]): Promise<void> {
    this.last = this.last.then(() => this.publishNow(records));
    return this.last;
  }

  private async publishNow(records: () => BusRecord[]): Promise<void> {
    if (this.stopping) return;
    try {
      await this.bus.publish(records());
    } catch (error) {
      this.logger.warn({ error }, 'residency could not be published');
    }
  }

  private records(): BusRecord[] {
    return [...this.library.list().map((slot) => this.record(slot)), this.ownRecord()];
  }

  private record(slot: Slot): BusRecord {
    const key = `${this.host.id}/${keyOf(slot)}`;
    // What makes room for another stays: it is loaded again when it is asked for.
    if (slot.isLeaving) {
      this.published.delete(key);
      return encodeTombstone(TOPICS.hostResidency, { source: SOURCE, key });
    }
    return this.lasting(key, versionPart(slot, this.library.standingOf(slot)));
  }

  private ownRecord(): BusRecord {
    return this.lasting(this.host.id, { memory: memoryPart(this.host.facts(), this.startedAtMs) });
  }

  /** A record that stands until its lease ends, or the host stops. */
  private lasting(key: string, part: ReturnType<typeof versionPart>): BusRecord {
    this.published.add(key);
    return encodeEvent(
      TOPICS.hostResidency,
      {
        ...part,
        hostId: this.host.id,
        address: this.host.address(),
        leaseExpiresAt: timestampFromMs(Date.now() + this.host.leaseMs),
        registryRevision: this.view.revision,
      },
      { source: SOURCE, key },
    );
  }
}
