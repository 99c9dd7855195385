import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { eventsV1 } from '@thalamus/contracts';
import { FairCache } from '@thalamus/routing';

/** What feedback is judged against: how a request was decided and answered. */
export interface DecidedRequest {
  readonly tenant: string;
  readonly task: string;
  readonly expert: string;
  readonly version: string;
  readonly routerModel: string;
  readonly region: number;
  readonly predicted: number;
}

/** A request that the window holds. */
export interface RememberedRequest extends DecidedRequest {
  readonly completedAtMs: number;
  /** The corrector that wrote what this one goes on from had seen it. */
  readonly wasSeen: boolean;
  /** Feedback about it has been taken: more of it changes nothing. */
  isJudged: boolean;
}

/** What somebody said of an answer. */
export interface GivenScore {
  readonly tenant: string;
  readonly requestId: string;
  readonly score: number;
  /** Unix milliseconds. */
  readonly atMs: number;
}

/** Bounds of the window. */
export interface WindowLimits {
  /** Requests that are remembered, of all tenants together. */
  readonly capacity: number;
  /** For how long, milliseconds. */
  readonly ageMs: number;
}

/**
 * Requests that were answered a while ago at the most, by tenant and id, so that feedback finds what it speaks of; and feedback that
 * came before its request. When there are too many, the tenant with most forgets its oldest.
 */
export class OutcomeWindow {
  private readonly requests: FairCache<RememberedRequest>;
  private readonly early: FairCache<GivenScore>;

  constructor(private readonly limits: WindowLimits) {
    this.requests = new FairCache(limits.capacity);
    this.early = new FairCache(limits.capacity);
  }

  /**
   * Remembers a request that the router decided and its chosen expert answered; undefined for one that nothing can be learned from,
   * and for one that is known: its event came again. An id that is used anew once its first use is too old stands for the new request.
   */
  completed(event: eventsV1.RequestCompleted, wasSeen: boolean): RememberedRequest | undefined {
    const decided = decidedRequest(event);
    if (!decided) return undefined;
    const completedAtMs = event.completedAt ? timestampMs(event.completedAt) : 0;
    const known = this.requests.get(decided.tenant, event.requestId);
    if (known && !this.isOver(known.completedAtMs, completedAtMs)) return undefined;
    const request = { ...decided, completedAtMs, wasSeen, isJudged: false };
    this.requests.set(decided.tenant, event.requestId, request);
    return request;
  }

  /** The request that feedback speaks of, of the same tenant and not too old. */
  find({ tenant, requestId, atMs }: GivenScore): RememberedRequest | undefined {
    const found = this.requests.get(tenant, requestId);
    return found && !this.isOver(found.completedAtMs, atMs) ? found : undefined;
  }

  /** Keeps feedback whose request is not known yet; the first about a request stays while it is not too old. */
  wait(given: GivenScore): void {
    const first = this.early.get(given.tenant, given.requestId);
    if (!first || this.isOver(first.atMs, given.atMs)) this.early.set(given.tenant, given.requestId, given);
  }

  /** Feedback that came before a request of a tenant, and not long before; it waits no longer. */
  takeEarly({ tenant, completedAtMs }: RememberedRequest, requestId: string): GivenScore | undefined {
    const given = this.early.get(tenant, requestId);
    this.early.delete(tenant, requestId);
    return given && !this.isOver(given.atMs, completedAtMs) ? given : undefined;
  }

  private isOver(atMs: number, nowMs: number): boolean {
    return nowMs - atMs > this.limits.ageMs;
  }
}

/** Undefined for a request that nothing can be learned from: not routed, failed, or answered by whom nothing was predicted for. */
function decidedRequest(event: eventsV1.RequestCompleted): DecidedRequest | undefined {
  const { tenant, task, expert, version, routerModel, regionId } = event;
  if (!event.routed || event.errorCode !== '' || event.channel !== 'stable') return undefined;
  const candidate = event.candidates.find((item) => item.expert === expert);
  if (!candidate) return undefined;
  return { tenant, task, expert, version, routerModel, region: regionId, predicted: candidate.predictedLoss };
}
