import { RPC_METADATA } from '@thalamus/contracts';
import type { CallContext } from '@thalamus/grpc';
import { randomUUID } from 'node:crypto';
import type { Admission } from '../../application/admission.js';
import type { Authenticate } from '../../application/authenticate.js';
import type { Operation, RecordOutcome } from '../../application/record-outcome.js';
import { requireRole, type Role } from '../../domain/access.js';
import type { RequestScope } from '../../domain/caller.js';
import { conversationOf, isRequestId } from '../../domain/request-id.js';

/** What calls are checked against. */
export interface CallScopeParts {
  readonly authenticate: Authenticate;
  readonly admission: Admission;
  readonly outcomes: RecordOutcome;
  readonly requestTimeoutMs: number;
}

/** Gives gRPC calls their caller, id and deadline, and a place among the requests in flight. */
export class CallScopes {
  constructor(private readonly parts: CallScopeParts) {}

  /** @throws KEY_INVALID, PERMISSION_DENIED when the caller of the call has not that role */
  requireRole(context: CallContext, role: Role): void {
    requireRole(this.parts.authenticate.run(context.metadata.get(RPC_METADATA.authorization)), role);
  }

  /** The scope of a call; an id of another form than ours is not taken over. @throws KEY_INVALID */
  open(context: CallContext, requestId = ''): RequestScope {
    const caller = this.parts.authenticate.run(context.metadata.get(RPC_METADATA.authorization));
    const timeoutMs = Math.min(context.remainingMs(), this.parts.requestTimeoutMs);
    return {
      requestId: [requestId, context.requestId].find(isRequestId) ?? randomUUID(),
      caller,
      signal: context.signal,
      deadlineAtMs: Date.now() + timeoutMs,
      completion: { isRecorded: false },
      conversation: conversationOf(context.metadata.get(RPC_METADATA.conversation)),
    };
  }

  /**
   * Runs work inside a scope and a place among the requests in flight. With an operation, a failure that the work has
   * not told of itself is told as the end of such a request.
   * @throws KEY_INVALID, RATE_LIMITED, EXPERT_OVERLOADED
   */
  async run<T>(
    context: CallContext,
    call: { readonly requestId: string; readonly operation?: Operation },
    work: (scope: RequestScope) => Promise<T>,
  ): Promise<T> {
    const scope = this.open(context, call.requestId);
    try {
      const leave = this.parts.admission.enter(scope.caller.tenant);
      try {
        return await work(scope);
      } finally {
        leave();
      }
    } catch (fault) {
      if (call.operation) this.parts.outcomes.failedEarly(call.operation, scope, fault);
      throw fault;
    }
  }
}
