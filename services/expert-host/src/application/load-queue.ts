import type { Slot } from './slot.js';

/** Which of the versions that nobody asked for goes first; the smaller the earlier. */
export type EagerRank = (slot: Slot) => readonly (number | string)[];

interface Eager {
  readonly slot: Slot;
  /** Whether others may be let go for it. */
  readonly mayEvict: boolean;
  /** As it was when it was offered last. */
  readonly rank: readonly (number | string)[];
}

/** Versions that requests wait for and that are loaded at once: one that hangs does not hold up the others. */
const ASKED_AT_ONCE = 4;

/**
 * What is to be loaded: what requests wait for in the order of asking, a few at once; the rest by rank, one after the other, when
 * nothing that is waited for is left to begin. What nobody waits for any more when its turn comes is left as it is.
 */
export class LoadQueue {
  private readonly asked = new Set<Slot>();
  private readonly eager = new Map<Slot, Eager>();
  private readonly loading = new Map<Slot, Promise<void>>();
  private eagerOne: Slot | undefined;
  private running: Promise<void> | undefined;
  private wake: (() => void) | undefined;

  constructor(
    private readonly load: (slot: Slot, mayEvict: boolean) => Promise<void>,
    private readonly rank: EagerRank,
    /** Called when nothing is left. */
    private readonly onIdle: () => Promise<void>,
  ) {}

  /** Loads a version that a request waits for, at the cost of others. */
  ask(slot: Slot): void {
    this.asked.add(slot);
    this.run();
  }

  /** Loads a version that nobody waits for. */
  offer(slot: Slot, mayEvict: boolean): void {
    this.eager.set(slot, { slot, mayEvict, rank: this.rank(slot) });
    this.run();
  }

  /** Takes a version out that has not begun; resolves when one that has is through. */
  async leave(slot: Slot): Promise<void> {
    this.asked.delete(slot);
    this.eager.delete(slot);
    await this.loading.get(slot);
  }

  /** Resolves when nothing is left to be loaded. */
  async idle(): Promise<void> {
    while (this.running) await this.running;
  }

  /** Forgets what has not begun. */
  close(): Promise<void> {
    this.asked.clear();
    this.eager.clear();
    return this.idle();
  }

  private run(): void {
    this.wake?.();
    this.running ??= this.drain().finally(() => {
      this.running = undefined;
      if (this.asked.size > 0 || this.eager.size > 0) this.run();
    });
  }

  private async drain(): Promise<void> {
    for (;;) {
      // What is offered in one go is ranked together.
      await Promise.resolve();
      if (!this.begin()) {
        await this.onIdle();
        if (!this.begin()) return;
      }
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      this.wake = undefined;
    }
  }

  /** Begins what may begin now; false when nothing is being loaded then. */
  private begin(): boolean {
    const isEagerOneLoading = this.eagerOne !== undefined;
    while (this.loading.size - (isEagerOneLoading ? 1 : 0) < ASKED_AT_ONCE) {
      const slot = this.takeAsked();
      if (!slot) break;
      this.start(slot, true);
    }
    const next = isEagerOneLoading || this.asked.size > 0 ? undefined : this.takeEager();
    if (next) {
      this.eagerOne = next.slot;
      this.start(next.slot, next.mayEvict);
    }
    return this.loading.size > 0;
  }

  private start(slot: Slot, mayEvict: boolean): void {
    const done = this.load(slot, mayEvict).finally(() => {
      this.loading.delete(slot);
      if (this.eagerOne === slot) this.eagerOne = undefined;
      this.wake?.();
    });
    this.loading.set(slot, done);
  }

  private takeAsked(): Slot | undefined {
    for (const slot of this.asked) {
      this.asked.delete(slot);
      if (slot.waiters.size === 0 || slot.state !== 'registered') continue;
      this.eager.delete(slot);
      return slot;
    }
    return undefined;
  }

  private takeEager(): Eager | undefined {
    let first: Eager | undefined;
    for (const next of this.eager.values())
      if (next.slot.state !== 'registered') this.eager.delete(next.slot);
      else if (!first || isBefore(next.rank, first.rank)) first = next;
    if (first) this.eager.delete(first.slot);
    return first;
  }
}

function isBefore(a: readonly (number | string)[], b: readonly (number | string)[]): boolean {
  for (const [index, value] of a.entries()) {
    const other = b[index];
    if (other !== undefined && value !== other) return value < other;
  }
  return false;
}
