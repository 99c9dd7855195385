/** What an interrupt means: the first one, an echo of it, or the wish to end at once. */
export type Press = 'first' | 'echo' | 'again';

/** Interrupts within this time of the first are the same key press, milliseconds. */
const ECHO_MS = 500;

/**
 * Tells a second Ctrl-C from an echo of the first: a terminal sends the signal to every process in the foreground, and npm and
 * the starter of another Node version each pass it on once more.
 */
export class InterruptCounter {
  private firstAt: number | undefined;

  constructor(private readonly nowMs: () => number) {}

  get isPressed(): boolean {
    return this.firstAt !== undefined;
  }

  /** Counts one signal. */
  press(): Press {
    const now = this.nowMs();
    if (this.firstAt === undefined) {
      this.firstAt = now;
      return 'first';
    }
    return now - this.firstAt <= ECHO_MS ? 'echo' : 'again';
  }
}
