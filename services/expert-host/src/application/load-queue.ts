import type { Slot } from './slot.js';

/** Which of the versions that nobody asked for goes first; the smaller the earlier. */
export type EagerRank = (slot: Slot) => readonly (number | string)[];

interface Taken {
  readonly slot: Slot;
  readonly mayEvict: boolean;
}

/**
 * What is to be loaded, one after the other: what requests wait for in the order of asking, then the rest by rank. What nobody
 * waits for any more when its turn comes is left as it is.
 */
export class LoadQueue {
  private readonly asked = new Set<Slot>();
  /** With whether others may be let go for it. */
  private readonly eager = new Map<Slot, boolean>();
  private running: Promise<void> | undefined;
  private loading: { readonly slot: Slot; readonly done: Promise<void> } | undefined;

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
    this.eager.set(slot, mayEvict);
    this.run();
  }

  /** Takes a version out that has not begun; resolves when one that has is through. */
  async leave(slot: Slot): Promise<void> {
    this.asked.delete(slot);
    this.eager.delete(slot);
    if (this.loading?.slot === slot) await this.loading.done;
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
    this.running ??= this.drain().finally(() => {
      this.running = undefined;
      if (this.asked.size > 0 || this.eager.size > 0) this.run();
    });
  }

  private async drain(): Promise<void> {
    // What is offered in one go is ranked together.
    await Promise.resolve();
    for (let next = this.take(); next; next = await this.takeOrRest()) {
      const { slot, mayEvict } = next;
      const done = this.load(slot, mayEvict);
      this.loading = { slot, done };
      await done;
      this.loading = undefined;
    }
  }

  private async takeOrRest(): Promise<Taken | undefined> {
    const next = this.take();
    if (next) return next;
    await this.onIdle();
    return this.take();
  }

  private take(): Taken | undefined {
    for (const slot of this.asked) {
      this.asked.delete(slot);
      if (slot.waiters.size === 0 || slot.state !== 'registered') continue;
      this.eager.delete(slot);
      return { slot, mayEvict: true };
    }
    let first: Slot | undefined;
    for (const slot of this.eager.keys())
      if (slot.state !== 'registered') this.eager.delete(slot);
      else if (!first || isBefore(this.rank(slot), this.rank(first))) first = slot;
    if (!first) return undefined;
    const mayEvict = this.eager.get(first) === true;
    this.eager.delete(first);
    return { slot: first, mayEvict };
  }
}

function isBefore(a: readonly (number | string)[], b: readonly (number | string)[]): boolean {
  for (const [index, value] of a.entries()) {
    const other = b[index];
    if (other !== undefined && value !== other) return value < other;
  }
  return false;
}
