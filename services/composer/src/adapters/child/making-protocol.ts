import type { ErrorCode, FieldViolation } from '@thalamus/errors';
import type { MadeComposition, MakingTask } from '../../application/composition-maker.port.js';
import type { Progress } from '../../domain/progress.js';

/** What the service asks of the composing process, once. */
export interface MakingRequest {
  readonly kind: 'make';
  readonly task: MakingTask;
}

/** What the composing process says. */
export type MakingReply =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'made'; readonly made: MadeComposition }
  | {
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly violations: readonly FieldViolation[];
    };
