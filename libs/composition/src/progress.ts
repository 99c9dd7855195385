/** Steps of composing, in order. */
export const STAGES = [
  'preflight',
  'fetch',
  'information',
  'merge',
  'factors',
  'prompts',
  'router',
  'graph',
  'parity',
  'quality',
  'register',
] as const;

/** A step of composing. */
export type Stage = (typeof STAGES)[number];

/** How far a step is. */
export interface Progress {
  readonly stage: Stage;
  readonly done: number;
  /** 0 when unknown. */
  readonly total: number;
}

/** Told how far the work is. */
export type OnProgress = (progress: Progress) => void;
