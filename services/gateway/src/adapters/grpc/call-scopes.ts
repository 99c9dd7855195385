import { RPC_METADATA } from '@thalamus/contracts';
import type { CallContext } from '@thalamus/grpc';
import { randomUUID } from 'node:crypto';
import type { Admission } from '../../application/admission.js';
import type { Authenticate } from '../../application/authenticate.js';
import type { RequestScope } from '../../domain/caller.js';

/** Gives gRPC calls their caller, id and deadline, and a place among the requests in flight. */
export class CallScopes {
  constructor(
    private readonly authenticate: Authenticate,
    private readonly admission: Admission,
    private readonly requestTimeoutMs: number,
  ) {}

  /** The scope of a call. @throws KEY_INVALID */
  open(context: CallContext, requestId = ''): RequestScope {
    const caller = this.authenticate.run(context.metadata.get(RPC_METADATA.authorization));
    const timeoutMs = Math.min(context.remainingMs(), this.requestTimeoutMs);
    return {
      requestId: requestId || context.requestId || randomUUID(),
      caller,
      signal: context.signal,
      deadlineAtMs: Date.now() + timeoutMs,
    };
  }

  /** Runs work inside a scope and a place among the requests in flight. @throws KEY_INVALID, RATE_LIMITED */
  async run<T>(
    context: CallContext,
    requestId: string,
    work: (scope: RequestScope) => Promise<T>,
  ): Promise<T> {
    const scope = this.open(context, requestId);
    const leave = this.admission.enter(scope.caller.tenant);
    try {
      return await work(scope);
    } finally {
      leave();
    }
  }
}
