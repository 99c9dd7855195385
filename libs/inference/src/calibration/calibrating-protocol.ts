import type { MeasuredSessions } from './measure-sessions.js';
import type { SessionChoice } from './session-choice.js';

/** What a calibrating process is asked. */
export type CalibrationRequest =
  | { readonly kind: 'sessions' }
  /** Batches in so many milliseconds, from `begin` on. */
  | { readonly kind: 'throughput'; readonly choice: SessionChoice; readonly forMs: number }
  | { readonly kind: 'begin' };

/** What it answers. */
export type CalibrationReply =
  | { readonly kind: 'sessions'; readonly found: MeasuredSessions | undefined }
  | { readonly kind: 'ready' }
  | { readonly kind: 'throughput'; readonly perSecond: number };
