const STEADY_MS = 10_000;
const FIRST_MS = 100;
const LONGEST_MS = 5_000;

/** How long to wait before a process is started again: not at all at first, ever longer when it keeps ending. */
export class RestartPause {
  private recent = 0;
  private last = -Infinity;

  /** Counts an end that nobody asked for. */
  crashed(): void {
    const now = performance.now();
    this.recent = now - this.last < STEADY_MS ? this.recent + 1 : 1;
    this.last = now;
  }

  async wait(): Promise<void> {
    const pauseMs = this.recent < 2 ? 0 : Math.min(LONGEST_MS, FIRST_MS * 2 ** (this.recent - 2));
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
