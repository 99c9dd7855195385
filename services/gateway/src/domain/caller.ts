/** Id of callers without a key. */
export const ANONYMOUS = 'anonymous';

/** Who makes a request. */
export interface Caller {
  readonly tenant: string;
  readonly role: 'viewer' | 'operator' | 'admin';
  /** Key id, or `anonymous`. */
  readonly id: string;
}

/** What a request carries along, whatever protocol it came by. */
export interface RequestScope {
  readonly requestId: string;
  readonly caller: Caller;
  readonly signal: AbortSignal;
  /** Unix time in milliseconds at which the answer is worthless. */
  readonly deadlineAtMs: number;
  /** Whether the end of the request has been told; shared by the texts of one request. */
  readonly completion: { isRecorded: boolean };
  /** What the caller says that the request is part of; a release gives one version to all of it. */
  readonly conversation?: string | undefined;
}

/** The scope of one text among several: its own id, `<request id>/<index>`, and all else of the request. */
export function scopeOfText(scope: RequestScope, index: number, count: number): RequestScope {
  return count === 1 ? scope : { ...scope, requestId: `${scope.requestId}/${index}` };
}
