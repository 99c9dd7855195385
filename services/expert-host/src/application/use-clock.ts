import { NEVER_USED, used } from '../domain/recent-use.js';
import type { Slot } from './slot.js';

/** Requests, or seconds of few requests, after which a use counts half. */
const HALF_LIFE = 512;

/**
 * Counts uses of versions for the choice of what is let go. Its time goes on by one with each request of the host, and by one each
 * second: a busy host forgets by requests, one that is seldom asked by the hour.
 */
export class UseClock {
  private requests = 0;

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** A request has asked for a version. */
  asked(slot: Slot): void {
    this.requests += 1;
    slot.worth = used(slot.wasAsked ? slot.worth : NEVER_USED, this.time, HALF_LIFE);
    slot.wasAsked = true;
  }

  /** A version was loaded: one that nobody has asked for counts as if somebody had now, until somebody does. */
  loaded(slot: Slot): void {
    if (!slot.wasAsked) slot.worth = used(NEVER_USED, this.time, HALF_LIFE);
  }

  private get time(): number {
    return this.requests + this.now() / 1000;
  }
}
