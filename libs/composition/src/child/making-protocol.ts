import type { ErrorCode, FieldViolation } from '@thalamus/errors';
import type { CompositionTask, MadeComposition } from '../composition-task.js';
import type { Progress } from '../progress.js';

/** What is asked of the composing process, once. */
export interface MakingRequest {
  readonly kind: 'make';
  readonly task: CompositionTask;
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
