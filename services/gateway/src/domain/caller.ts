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
}
