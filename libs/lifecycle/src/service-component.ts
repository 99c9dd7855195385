/** Something that a service starts, reports on, and ends in order: a server, a consumer, a view of the registry. */
export interface ServiceComponent {
  /** For logs and for the reason why a service is not ready. */
  readonly name: string;
  /** Begins to work. The service is not ready before it resolves. */
  start?(): Promise<void>;
  /** Whether work can be accepted now. */
  readiness?(): { readonly ready: boolean; readonly reason?: string };
  /** Tells callers to go elsewhere while everything is still served. Called first of all, before the readiness grace. */
  withdraw?(): void;
  /** Takes no new work and lets what is in flight finish, for at most `deadlineMs`. */
  drain?(deadlineMs: number): Promise<void>;
  /** Frees what is held. Called after every component has drained, in reverse order of start. */
  close?(): Promise<void>;
}

/** Nest token of the list of components, in the order of their start. */
export const COMPONENTS = Symbol('thalamus.components');
