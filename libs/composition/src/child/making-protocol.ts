import type { ErrorCode, FieldViolation } from '@thalamus/errors';
import type { CompositionTask, MadeComposition } from '../composition-task.js';
import type { ProbeTask } from '../probe/probe-quality.js';
import type { QualityEstimate } from '../probe/quality-estimate.js';
import type { Progress } from '../progress.js';

/** What is asked of the composing process, once. */
export type MakingRequest =
  | { readonly kind: 'make'; readonly task: CompositionTask }
  | { readonly kind: 'probe'; readonly task: ProbeTask };

/** What the composing process says. */
export type MakingReply =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'made'; readonly made: MadeComposition }
  | { readonly kind: 'estimate'; readonly estimate: QualityEstimate }
  /** The last word of a probe. */
  | { readonly kind: 'probed' }
  | {
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly violations: readonly FieldViolation[];
    };
