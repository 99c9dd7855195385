import { METRICS } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { counter, createLogger } from '@thalamus/telemetry';
import type { LoadQueue } from './load-queue.js';
import { refuseWaiters } from './load-waiting.js';
import { keyOf, type Slot } from './slot.js';
import type { Slots } from './slots.js';

/** What is in memory, and how it leaves. */
export class Departures {
  private readonly inMemory = new Set<Slot>();
  private readonly leaving = new Map<Slot, Promise<void>>();
  private readonly evictions = counter(METRICS.evictions);
  private evicted = 0;
  private readonly logger = createLogger('departures');

  constructor(
    private readonly slots: Slots,
    private readonly queue: Pick<LoadQueue, 'ask' | 'leave'>,
  ) {
    this.evictions.add(0);
  }

  /** What is in memory, what has left the slots and is not yet gone among it. */
  get loaded(): Iterable<Slot> {
    return this.inMemory;
  }

  /** How often a version was let go to make room. */
  get evictionCount(): number {
    return this.evicted;
  }

  /** A version is in memory from now on. */
  arrived(slot: Slot): void {
    this.inMemory.add(slot);
  }

  /** Lets a version go for good; resolves at once, `settled` waits for its end. */
  remove(slot: Slot): void {
    slot.isLeaving = true;
    this.slots.take(slot);
    const wasEvicted = this.leaving.get(slot);
    const left = wasEvicted ?? this.queue.leave(slot).then(() => this.release(slot));
    slot.state = 'draining';
    this.slots.tell(slot);
    refuseWaiters(
      slot,
      new ThalamusError('EXPERT_NOT_READY', `${keyOf(slot)} was unloaded while the request waited.`, {
        retryAfterMs: 500,
      }),
    );
    if (!wasEvicted) void this.leaves(slot, left);
  }

  /** Lets a version go to make room; it stays registered, and is asked for again when somebody waits for it by then. */
  evict(key: string): Promise<void> {
    const slot = this.slots.get(key);
    if (slot?.state !== 'ready') return Promise.resolve();
    slot.state = 'draining';
    this.slots.tell(slot);
    const evicted = this.release(slot).then(() => {
      this.evictions.add(1);
      this.evicted += 1;
      this.logger.info({ expert: slot.expert, version: slot.version }, 'expert let go to make room');
      if (slot.isLeaving) return;
      slot.state = 'registered';
      this.slots.tell(slot);
      if (slot.waiters.size > 0) this.queue.ask(slot);
    });
    return this.leaves(slot, evicted);
  }

  /** Resolves when all that is being let go has gone. */
  async settled(): Promise<void> {
    await Promise.all(this.leaving.values());
  }

  /**
   * Resolves when all that is in memory and being let go has gone; with false when nothing is. One that was removed before it was
   * loaded holds nothing, and its load may itself wait for room: nobody who makes room may wait for it.
   */
  async freed(): Promise<boolean> {
    const leaving = [...this.leaving].filter(([slot]) => this.inMemory.has(slot));
    await Promise.all(leaving.map(([, left]) => left));
    return leaving.length > 0;
  }

  /** Lets go of what a version holds, after its last request; its bytes count until then. */
  async release(slot: Slot): Promise<void> {
    if (slot.inFlight > 0)
      await new Promise<void>((resolve) => {
        slot.onIdle = resolve;
      });
    slot.onIdle = undefined;
    try {
      await slot.served?.release();
    } catch (fault) {
      const { code, message } = toThalamusError(fault);
      const facts = { expert: slot.expert, version: slot.version, code, reason: message };
      this.logger.warn({ ...facts, error: fault }, 'expert did not end cleanly');
    }
    slot.served = undefined;
    this.inMemory.delete(slot);
  }

  private leaves(slot: Slot, work: Promise<void>): Promise<void> {
    const left = work.finally(() => this.leaving.delete(slot));
    this.leaving.set(slot, left);
    return left;
  }
}
