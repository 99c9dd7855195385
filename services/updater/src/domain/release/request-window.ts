/** What is remembered of a request until feedback comes. */
export interface SeenRequest {
  /** Which version the caller got; undefined while only its mirror is known. */
  arm?: 'stable' | 'candidate';
  /** Label of the answer; empty when it has none. */
  label?: string;
  operation?: string;
  /** What both versions answered to it. */
  mirror?: MirroredAnswers;
  feedback?: GivenFeedback;
  isFlipJudged?: boolean;
  isQualityJudged?: boolean;
}

/** What both versions answered to one request: labels, empty where there are none. */
export interface MirroredAnswers {
  readonly agree: boolean;
  readonly stable: string;
  readonly candidate: string;
}

/** Feedback on an answer. */
export interface GivenFeedback {
  /** Quality, 0 to 1. */
  readonly score: number | undefined;
  /** The right label; empty when it is not known. */
  readonly label: string;
}

/** The last requests of a release, so that feedback finds them; the oldest are forgotten. */
export class RequestWindow {
  private readonly seen = new Map<string, SeenRequest>();

  constructor(private readonly capacity: number) {}

  get(tenant: string, requestId: string): SeenRequest | undefined {
    return this.seen.get(`${tenant}/${requestId}`);
  }

  /** The request of a tenant, made when it is new. */
  of(tenant: string, requestId: string): SeenRequest {
    const key = `${tenant}/${requestId}`;
    const known = this.seen.get(key);
    if (known) return known;
    const made: SeenRequest = {};
    this.seen.set(key, made);
    if (this.seen.size > this.capacity) this.seen.delete(this.seen.keys().next().value as string);
    return made;
  }
}
