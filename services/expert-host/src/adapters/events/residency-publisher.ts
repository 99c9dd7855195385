import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { TOPICS } from '@thalamus/contracts';
import { encodeEvent, encodeTombstone, type BusRecord, type EventBus } from '@thalamus/events';
import type { RegistryView } from '@thalamus/registry';
import { createLogger } from '@thalamus/telemetry';
import type { ExpertLibrary } from '../../application/expert-library.js';
import { keyOf, type Slot } from '../../application/slot.js';

const SOURCE = '/expert-host';

/** Tells the mesh what is loaded here, renews it before the lease ends, and takes it back when the host stops. */
export class ResidencyPublisher {
  readonly name = 'residency publisher';
  private readonly published = new Set<string>();
  private timer: NodeJS.Timeout | undefined;
  private stopping = false;
  private last: Promise<void> = Promise.resolve();
  private readonly logger = createLogger('residency');

  constructor(
    private readonly bus: EventBus,
    private readonly library: ExpertLibrary,
    private readonly view: RegistryView,
    private readonly host: { readonly id: string; readonly address: () => string; readonly leaseMs: number },
  ) {}

  async start(): Promise<void> {
    this.library.onChange((slot) => {
      void this.publish([slot]);
    });
    await this.publish(this.library.list());
    this.timer = setInterval(() => void this.publish(this.library.list()), this.host.leaseMs / 3);
  }

  /** Withdraws everything first, so that no new request comes while the last ones end. */
  async drain(): Promise<void> {
    this.stopping = true;
    clearInterval(this.timer);
    await this.last;
    const tombstones = [...this.published].map((key) =>
      encodeTombstone(TOPICS.hostResidency, { source: SOURCE, key }),
    );
    if (tombstones.length > 0) await this.bus.publish(tombstones);
  }

  /** One after the other: a "ready" that was overtaken by its own withdrawal would stand until its lease ends. */
  private publish(slots: readonly Slot[]): Promise<void> {
    this.last = this.last.then(() => this.publishNow(slots));
    return this.last;
  }

  private async publishNow(slots: readonly Slot[]): Promise<void> {
    if (this.stopping || slots.length === 0) return;
    try {
      await this.bus.publish(slots.map((slot) => this.record(slot)));
    } catch (error) {
      this.logger.warn({ error }, 'residency could not be published');
    }
  }

  private record(slot: Slot): BusRecord {
    const key = `${this.host.id}/${keyOf(slot)}`;
    // What makes room for another stays: it is loaded again when it is asked for.
    if (slot.isLeaving) {
      this.published.delete(key);
      return encodeTombstone(TOPICS.hostResidency, { source: SOURCE, key });
    }
    this.published.add(key);
    return encodeEvent(
      TOPICS.hostResidency,
      {
        hostId: this.host.id,
        address: this.host.address(),
        expert: slot.expert,
        version: slot.version,
        state: slot.state,
        memoryBytes: BigInt(slot.served?.memoryBytes ?? 0),
        leaseExpiresAt: timestampFromMs(Date.now() + this.host.leaseMs),
        registryRevision: this.view.revision,
        errorCode: slot.error?.code ?? '',
      },
      { source: SOURCE, key },
    );
  }
}
