import { keyOf, type Slot } from './slot.js';

/** The versions that are served here, loaded or not, by expert@version, and who is told when one of them changes. */
export class Slots {
  private readonly byKey = new Map<string, Slot>();
  private readonly listeners = new Set<(slot: Slot) => void>();

  get(key: string): Slot | undefined {
    return this.byKey.get(key);
  }

  /** All of them, by name. */
  list(): Slot[] {
    return [...this.byKey.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }

  /** Adds one in the place of what has its name. */
  put(slot: Slot): void {
    this.byKey.set(keyOf(slot), slot);
    this.tell(slot);
  }

  /** Takes one out; nobody is told. */
  take(slot: Slot): void {
    this.byKey.delete(keyOf(slot));
  }

  onChange(listener: (slot: Slot) => void): void {
    this.listeners.add(listener);
  }

  /** Tells everyone that a version has changed. */
  tell(slot: Slot): void {
    for (const listener of this.listeners) listener(slot);
  }
}
