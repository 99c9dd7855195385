/** Longest pause between two proofs that is not an outage, milliseconds. */
const OUTAGE_MS = 3_000;
/** How long hosts may take after an outage to be heard again, milliseconds. */
const RECOVERY_MS = 15_000;

/**
 * The time that leases are held against. It goes on with each proof that the bus can be read to its end, and stands still
 * without one: while the bus is away nobody can renew a lease, which says nothing about who holds it.
 */
export class LeaseClock {
  private timeMs: number;
  private provenMs: number;
  private heldUntilMs = 0;

  constructor(private readonly now: () => number = Date.now) {
    this.timeMs = this.provenMs = now();
  }

  /** Unix time in milliseconds up to which silence means something. */
  get unixMs(): number {
    return this.timeMs;
  }

  /** Everything that stood on the bus at `atMs` has been read. */
  proven(atMs: number): void {
    if (atMs - this.provenMs > OUTAGE_MS) this.heldUntilMs = this.now() + RECOVERY_MS;
    this.provenMs = atMs;
    if (this.now() >= this.heldUntilMs) this.timeMs = Math.max(this.timeMs, atMs);
  }
}
