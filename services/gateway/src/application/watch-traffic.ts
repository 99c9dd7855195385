import { TOPICS } from '@thalamus/contracts';
import { decodeEvent, type EventBus, type Subscription } from '@thalamus/events';
import type { ServiceComponent } from '@thalamus/lifecycle';
import { randomUUID } from 'node:crypto';
import type { LiveBoard, LiveSnapshot } from './live-board.js';

const SECOND_MS = 1_000;
/** Snapshots that somebody who connects now is given at once. */
const HISTORY = 120;

/**
 * The traffic of the whole mesh, whichever gateway it went through, as one snapshot a second. It reads completed requests
 * from now on with a group of its own: two gateways each see all of it.
 */
export class WatchTraffic implements ServiceComponent {
  readonly name = 'traffic watcher';
  private subscription: Subscription | undefined;
  private timer: NodeJS.Timeout | undefined;
  private readonly listeners = new Set<(snapshot: LiveSnapshot) => void>();
  private readonly recent: LiveSnapshot[] = [];

  constructor(
    private readonly bus: EventBus,
    private readonly board: LiveBoard,
  ) {}

  async start(): Promise<void> {
    this.subscription = await this.bus.subscribe({
      group: `thalamus-console-${randomUUID()}`,
      topics: [TOPICS.requestCompleted.name],
      from: 'latest',
      handle: (record) => {
        const event = decodeEvent(TOPICS.requestCompleted, record);
        if (event) this.board.add(event);
        return Promise.resolve({ kind: 'ack' });
      },
    });
    this.timer = setInterval(() => {
      const snapshot = this.board.tick(new Date());
      this.recent.push(snapshot);
      if (this.recent.length > HISTORY) this.recent.shift();
      for (const listener of this.listeners) listener(snapshot);
    }, SECOND_MS);
  }

  async drain(): Promise<void> {
    clearInterval(this.timer);
    await this.subscription?.stop();
  }

  /** What stands, then every second; the returned function ends it. */
  watch(listener: (snapshot: LiveSnapshot) => void): () => void {
    for (const snapshot of this.recent) listener(snapshot);
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
