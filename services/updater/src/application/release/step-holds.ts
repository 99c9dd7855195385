import { hasTraffic, LEASE_MS, renewed, type ReleaseRecord } from '../../domain/release/release-states.js';
import type { Releases } from './releases.js';

/** A lease is renewed so often that two renewals may fail before it lapses, milliseconds. */
const RENEW_MS = LEASE_MS / 3;
/** Who moves releases that nobody moves by hand. */
export const UPDATER = { id: 'updater', tenant: 'default' };

/** Clocks of the leader: Unix milliseconds for what others read, monotonic ones for what lasts. */
export interface LeaderClock {
  readonly now: () => number;
  readonly monotonic: () => number;
}

/** How long a step has been held. */
interface Hold {
  /** Release, state and step. */
  readonly of: string;
  /** Milliseconds up to the last write. */
  readonly ms: number;
  /** Moment of the last write, monotonic. */
  readonly at: number;
}

/** Renews the leases of releases with traffic, and knows how long their steps have been held under one: by a clock that does not jump, and over elections. */
export class StepHolds {
  private readonly holds = new Map<string, Hold>();

  constructor(
    private readonly releases: Pick<Releases, 'renew'>,
    private readonly clock: LeaderClock,
  ) {}

  /**
   * Renews the lease when it is due, and says how many milliseconds the step has been held. Time without a lease does not count.
   * @throws NOT_LEADER and what the bus throws: then nothing is to be decided either
   */
  async hold({ id, details }: ReleaseRecord): Promise<number> {
    if (!hasTraffic(details.state)) return 0;
    const of = `${details.state}/${details.step}`;
    const known = this.holds.get(id);
    const before = known?.of === of ? known : undefined;
    const at = this.clock.monotonic();
    const passed = before ? at - before.at : 0;
    const heldMs = (before?.ms ?? Number(details.stepHeldMs)) + (passed < LEASE_MS ? passed : 0);
    if (before && passed < RENEW_MS) return heldMs;
    await this.releases.renew(id, { ...UPDATER, action: 'release.Renew' }, (now) =>
      `${now.details.state}/${now.details.step}` === of ? renewed(now, heldMs, this.clock.now()) : undefined,
    );
    this.holds.set(id, { of, ms: heldMs, at });
    return heldMs;
  }

  forget(id: string): void {
    this.holds.delete(id);
  }
}
