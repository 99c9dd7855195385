import type { ErrorCode, FieldViolation } from '@thalamus/errors';
import type { DerivingTask, WrittenGraph } from '../../application/graph-deriver.port.js';

/** What the service asks of the deriving process, once. */
export interface DerivingRequest {
  readonly task: DerivingTask;
}

/** What the deriving process answers, once. */
export type DerivingReply =
  | { readonly kind: 'written'; readonly written: WrittenGraph }
  | {
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly violations: readonly FieldViolation[];
    };
