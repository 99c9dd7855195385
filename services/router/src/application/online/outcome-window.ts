import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { eventsV1 } from '@thalamus/contracts';

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

/** What somebody said of an answer. */
export interface GivenScore {
  readonly tenant: string;
  readonly score: number;
  /** Unix milliseconds. */
  readonly atMs: number;
}

/** Bounds of the window. */
export interface WindowLimits {
  /** Requests that are remembered. */
  readonly capacity: number;
  /** For how long, milliseconds. */
  readonly ageMs: number;
}

/**
 * Requests that were answered a while ago at the most, by id, so that feedback finds what it speaks of; and feedback that came
 * before its request. Each request is judged once. The oldest go first when there are too many.
 */
export class OutcomeWindow {
  private readonly requests = new Map<string, DecidedRequest & { readonly completedAtMs: number }>();
  private readonly early = new Map<string, GivenScore>();

  constructor(private readonly limits: WindowLimits) {}

  /** Number of requests that are remembered. */
  get size(): number {
    return this.requests.size;
  }

  /**
   * Remembers a request that the router decided and its chosen expert answered. Returns feedback that came before it: the
   * request is then judged by it.
   */
  completed(event: eventsV1.RequestCompleted): { request: DecidedRequest; given: GivenScore } | undefined {
    const request = decidedRequest(event);
    if (!request) return undefined;
    const given = this.early.get(event.requestId);
    if (given) {
      this.early.delete(event.requestId);
      if (given.tenant === request.tenant) return { request, given };
    }
    const completedAtMs = event.completedAt ? timestampMs(event.completedAt) : 0;
    keep(this.requests, event.requestId, { ...request, completedAtMs }, this.limits.capacity);
    return undefined;
  }

  /** The request that feedback of a tenant speaks of; undefined for one that is not known, is judged, or is another's. */
  find(requestId: string, { tenant, atMs }: Pick<GivenScore, 'tenant' | 'atMs'>): DecidedRequest | undefined {
    const found = this.requests.get(requestId);
    return found?.tenant === tenant && atMs - found.completedAtMs <= this.limits.ageMs ? found : undefined;
  }

  /** Forgets a request that has been judged: more feedback about it changes nothing. */
  judged(requestId: string): void {
    this.requests.delete(requestId);
  }

  /** Keeps feedback whose request is not known yet. */
  wait(requestId: string, given: GivenScore): void {
    keep(this.early, requestId, given, this.limits.capacity);
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

function keep<T>(map: Map<string, T>, key: string, value: T, capacity: number): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > capacity && oldest !== undefined) map.delete(oldest);
}
