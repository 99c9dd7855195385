const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 10 * 60_000;

/**
 * Tells memory that a process keeps without need from memory that its models need: what it had when they were loaded counts as
 * needed, and so does twice the size of their weights, since ONNX Runtime keeps weights in its own order too. What comes back after
 * every exchange of the process is needed as well, so exchanges follow one another after ever longer pauses.
 */
export class MemoryDrift {
  private settledBytes = 0;
  private pauseMs = FIRST_PAUSE_MS;
  private last = -Infinity;

  /** `slackBytes`: memory that runs may keep. */
  constructor(private readonly slackBytes: number) {}

  /** The process is new, and everything is loaded in it. */
  started(residentBytes = 0): void {
    this.settledBytes = residentBytes;
  }

  /** Something was loaded besides: what the process grew by meanwhile is needed. */
  loaded(before = 0, after = before): void {
    this.settledBytes += Math.max(0, after - before);
  }

  /** Whether the process has more than its models need, and the slack. */
  isExceeded(residentBytes: number, openBytes: number): boolean {
    // What was given back is not needed.
    this.settledBytes = Math.min(this.settledBytes, residentBytes);
    return residentBytes > Math.max(2 * openBytes, this.settledBytes) + this.slackBytes;
  }

  /** Whether the last exchange is long enough ago; milliseconds of any clock. */
  mayExchange(now: number): boolean {
    return now - this.last >= this.pauseMs;
  }

  exchanged(now: number): void {
    const isAgainSoon = now - this.last < 4 * this.pauseMs;
    this.pauseMs = isAgainSoon ? Math.min(LONGEST_PAUSE_MS, 2 * this.pauseMs) : FIRST_PAUSE_MS;
    this.last = now;
  }
}
