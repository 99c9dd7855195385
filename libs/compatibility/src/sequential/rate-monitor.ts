/** What a monitor watches for. */
export interface RateLimit {
  /** Rate that is still all right, above 0 and below 1: an alarm says that the true rate is above it. */
  readonly limit: number;
  /** Chance that an alarm is ever raised, at any time, while the rate is at or below the limit. */
  readonly level: number;
}

/** Where a monitor stands. */
export interface RateReading {
  readonly events: number;
  readonly trials: number;
  /** Evidence against "the rate is at most the limit", as the log of a fair bet’s wealth; 0 at the start. */
  readonly logEvidence: number;
  /** Always-valid p-value: 1 / the largest wealth so far. */
  readonly pValue: number;
  readonly alarm: boolean;
}

/** Bets: alternatives are spread from the limit to 1, denser near the limit. */
const BETS = 24;
/** Wealth beyond which a bet does not grow, so that numbers stay finite. */
const MOST_WEALTH = 1e300;

/**
 * An always-valid test of "the rate of an event is at most the limit", such as negative flips, errors or answers slower than a limit: it may be
 * looked at after every trial, and stopped at any time (Ville 1939; Waudby-Smith and Ramdas 2024, section 4). Evidence is the
 * wealth of equal bets on rates above the limit: for each, the likelihood ratio to the limit, which no rate at or below the limit lets
 * grow on average. Trials may hang on what came before; only the rate given the past must be bounded. State is a few numbers.
 */
export class RateMonitor {
  private readonly rises: Float64Array;
  private readonly falls: Float64Array;
  private readonly wealth = new Float64Array(BETS).fill(1 / BETS);
  private events = 0;
  private trials = 0;
  private highest = 1;
  private current = 1;

  /** @throws RangeError for a limit or a level outside of 0 to 1 */
  constructor(private readonly rule: RateLimit) {
    const { limit, level } = rule;
    if (!(limit > 0 && limit < 1) || !(level > 0 && level < 1))
      throw new RangeError(
        `A rate limit of ${limit} at level ${level} cannot be watched; both lie between 0 and 1.`,
      );
    const rates = Float64Array.from(
      { length: BETS },
      (_, at) => limit + (1 - limit) * ((at + 1) / (BETS + 1)) ** 3,
    );
    this.rises = rates.map((rate) => rate / limit);
    this.falls = rates.map((rate) => (1 - rate) / (1 - limit));
  }

  /** Takes one trial in. */
  add(isEvent: boolean): RateReading {
    this.trials += 1;
    if (isEvent) this.events += 1;
    const steps = isEvent ? this.rises : this.falls;
    let total = 0;
    for (let at = 0; at < BETS; at++) {
      // A bet that has lost all stays lost, and one that has won so much has been believed long ago: neither can raise a false alarm.
      this.wealth[at] = Math.min(MOST_WEALTH, this.wealth[at]! * steps[at]!);
      total += this.wealth[at]!;
    }
    this.current = total;
    this.highest = Math.max(this.highest, this.current);
    return this.reading;
  }

  get reading(): RateReading {
    const pValue = 1 / this.highest;
    return {
      events: this.events,
      trials: this.trials,
      logEvidence: Math.log(this.current),
      pValue,
      alarm: pValue <= this.rule.level,
    };
  }
}
