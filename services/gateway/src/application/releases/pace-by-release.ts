import type { LiveRelease } from './live-releases.js';

/** Releases whose pace is remembered; more are never live at once on one gateway. */
const MAX_RELEASES = 1_000;

/** Keeps mirrored requests at the pace of their release, and all of them at that of the gateway. One at a time: no bursts. */
export class PaceByRelease {
  private readonly releases = new Map<string, number>();
  private nextOfAll = 0;

  constructor(
    private readonly perSecond: number,
    private readonly now: () => number,
  ) {}

  /** Whether a request may be mirrored now; takes its place if so. */
  take({ id, mirrorPerSecond }: Pick<LiveRelease, 'id' | 'mirrorPerSecond'>): boolean {
    const now = this.now();
    if (now < this.nextOfAll || now < (this.releases.get(id) ?? 0)) return false;
    this.nextOfAll = now + 1_000 / this.perSecond;
    if (mirrorPerSecond > 0) {
      this.releases.delete(id);
      this.releases.set(id, now + 1_000 / mirrorPerSecond);
      const oldest = this.releases.keys().next();
      if (this.releases.size > MAX_RELEASES && !oldest.done) this.releases.delete(oldest.value);
    }
    return true;
  }
}
