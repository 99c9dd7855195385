import type { RegistryView } from '@thalamus/registry';
import type { Departures } from './departures.js';
import type { LoadQueue } from './load-queue.js';
import type { LoadRetries } from './load-retries.js';
import type { ResidencyBudget } from './residency-budget.js';
import type { ResidencyWishes } from './residency-wishes.js';
import { keyOf, newSlot, type Slot } from './slot.js';
import type { Slots } from './slots.js';
import type { VersionNames } from './version-names.js';
import type { WantedVersions } from './wanted-versions.js';
import type { WarmVersions } from './warm-versions.js';

/** What the following has to do with. */
export interface FollowerParties {
  readonly slots: Slots;
  readonly names: VersionNames;
  readonly wishes: ResidencyWishes;
  readonly warm: WarmVersions;
  readonly wanted: WantedVersions;
  readonly budget: ResidencyBudget;
  readonly queue: LoadQueue;
  readonly departures: Departures;
  readonly retries: LoadRetries;
}

/** Keeps the slots as the registry wants them: adds what is new, offers it for loading, and lets go of what nobody wants. */
export class RegistryFollower {
  private stopFollowing: (() => void) | undefined;
  private scheduled: Promise<void> | undefined;
  private lingering: NodeJS.Timeout | undefined;
  private isClosing = false;

  constructor(
    private readonly view: RegistryView,
    private readonly parties: FollowerParties,
  ) {}

  start(): void {
    this.stopFollowing = this.view.onChange((key) => {
      if (key.startsWith('expert/') || key.startsWith('version/')) this.schedule();
    });
    this.reconcile();
  }

  async close(): Promise<void> {
    this.isClosing = true;
    this.stopFollowing?.();
    clearTimeout(this.lingering);
    await this.scheduled;
  }

  /** Makes the slots what is wanted now. */
  reconcile(): void {
    const { slots, wanted, retries, departures, warm } = this.parties;
    const wantedNow = wanted.all();
    for (const slot of slots.list()) {
      if (wantedNow.has(keyOf(slot))) continue;
      retries.forget(slot);
      departures.remove(slot);
    }
    for (const [key, version] of wantedNow) if (!slots.get(key)) slots.put(newSlot(version));
    for (const slot of slots.list()) this.offer(slot);
    clearTimeout(this.lingering);
    const { nextMs } = warm;
    if (nextMs !== undefined) this.lingering = setTimeout(() => this.schedule(), nextMs + 1).unref();
  }

  /** A version that was loaded may relieve one that answered for it until now. */
  hasLoaded({ expert }: Slot): void {
    const { names, warm } = this.parties;
    const stable = names.stable(expert);
    if (stable !== '' && warm.kept(expert, stable).length > 0) this.schedule();
  }

  /** Puts a version that failed back to its beginning. */
  startAnew(slot: Slot): void {
    const { slots } = this.parties;
    slots.take(slot);
    slots.put(newSlot(slot.registered));
    this.schedule();
  }

  /** Pinned ones first, then by priority, then what channels use most, then what stands alone. */
  rank(slot: Slot): readonly (number | string)[] {
    const { names, wishes } = this.parties;
    const { expert, version, registered } = slot;
    return [
      wishes.isPinned(expert, version) ? 0 : 1,
      -wishes.priority(expert, version),
      names.stable(expert) === version ? 0 : 1,
      registered.baseDigest === '' ? 0 : 1,
      keyOf(slot),
    ];
  }

  private schedule(): void {
    this.scheduled ??= Promise.resolve().then(() => {
      this.scheduled = undefined;
      if (!this.isClosing) this.reconcile();
    });
  }

  /** Loads what nobody asked for, when there is room; what is pinned, or relieves a version that answers, in any case. */
  private offer(slot: Slot): void {
    if (slot.state !== 'registered' || slot.refusedUntil > performance.now()) return;
    const { names, wishes, warm, budget, queue } = this.parties;
    const { expert, version } = slot;
    const stable = names.stable(expert);
    const relieves = version === stable && warm.of(expert, stable) !== version;
    const mayEvict = relieves || wishes.isPinned(expert, version);
    if (mayEvict || budget.hasRoomFor(slot)) queue.offer(slot, mayEvict);
  }
}
