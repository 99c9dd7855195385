import { EmbeddedEventBus, KafkaEventBus, type BusRecord, type EventBus } from '@thalamus/events';
import { EVENT_HEADERS } from '@thalamus/contracts';
import { randomUUID } from 'node:crypto';
import { BusProcess, type ProcessTask } from './bus-process.js';

/** Where the bus of a suite is: enough for another process to open it. */
export type BusPlace =
  | { readonly adapter: 'embedded'; readonly file: string; readonly maxPages?: number }
  | { readonly adapter: 'kafka'; readonly brokers: readonly string[] };

/** An unstarted bus at a place; each is a connection of its own. */
export function busAt(place: BusPlace): EventBus {
  if (place.adapter === 'embedded')
    return new EmbeddedEventBus({
      file: place.file,
      ...(place.maxPages === undefined ? {} : { maxPages: place.maxPages }),
    });
  return new KafkaEventBus({ brokers: place.brokers, clientId: 'thalamus-tests', connectTimeoutMs: 30_000 });
}

/** Opens buses and processes for the tests of a suite, and ends them all. */
export class BusHarness {
  private readonly buses: EventBus[] = [];
  private readonly processes: BusProcess[] = [];

  constructor(private readonly place: () => BusPlace) {}

  /** A started bus. */
  async bus(place: BusPlace = this.place()): Promise<EventBus> {
    const bus = busAt(place);
    this.buses.push(bus);
    await bus.start();
    return bus;
  }

  /** A process of its own that does one thing on the bus and says what happens. */
  process(task: ProcessTask): BusProcess {
    const child = new BusProcess(this.place(), task);
    this.processes.push(child);
    return child;
  }

  /** A topic of a name that no other test has. */
  async topic(bus: EventBus, shape: { partitions?: number; compacted?: boolean } = {}): Promise<string> {
    const name = `test.${randomUUID().slice(0, 8)}.v1`;
    await bus.ensureTopics([
      { name, partitions: shape.partitions ?? 1, compacted: shape.compacted ?? false },
    ]);
    return name;
  }

  async end(): Promise<void> {
    await Promise.all(this.processes.splice(0).map((child) => child.kill()));
    await Promise.all(this.buses.splice(0).map((bus) => bus.close(5_000)));
  }
}

/** A record with a text for a payload and an id of its own. */
export function textRecord(
  topic: string,
  key: string,
  text: string | null,
  id: string = randomUUID(),
): BusRecord {
  return {
    topic,
    key,
    value: text === null ? null : new TextEncoder().encode(text),
    headers: { [EVENT_HEADERS.id]: id },
  };
}

/** The payload of a record as text; null for a tombstone. */
export function textOf({ value }: Pick<BusRecord, 'value'>): string | null {
  return value === null ? null : new TextDecoder().decode(value);
}

/** Texts `from`..`to - 1` under one key. */
export function series(topic: string, key: string, from: number, to: number): BusRecord[] {
  return Array.from({ length: to - from }, (_unused, index) =>
    textRecord(topic, key, `${key}:${from + index}`, `${key}:${from + index}`),
  );
}

/** A name that no other test has. */
export function unique(prefix: string): string {
  return `${prefix}-${randomUUID().slice(0, 8)}`;
}
