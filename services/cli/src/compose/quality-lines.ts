import { table } from '../output.js';

/** How the task of a parent would fare. */
interface EstimatedTask {
  readonly parent: string;
  readonly rows: number;
  readonly split: string;
  readonly alone: number;
  readonly composed: number;
  readonly composedLow: number;
  readonly composedHigh: number;
  readonly routed: number;
}

/** An estimate of quality, or why there is none. */
export type ProbedQuality = { readonly tookMs: number } & (
  | { readonly absent: string }
  | {
      readonly basis: string;
      readonly note: string;
      readonly tasks: readonly EstimatedTask[];
      readonly normalized: number;
      readonly normalizedLow: number;
      readonly normalizedHigh: number;
    }
);

/** Lines that say what a probe found. */
export function qualityLines(quality: ProbedQuality): string[] {
  if ('absent' in quality) return [`  no estimate of quality: ${quality.absent}`];
  const { tasks, basis, note, normalized, normalizedLow, normalizedHigh, tookMs } = quality;
  const range = (low: number, high: number, digits: number) =>
    `${low.toFixed(digits)} to ${high.toFixed(digits)}`;
  const answers = basis === 'merged' ? 'the merged weights' : 'the parents';
  return [
    `  estimated quality, answers of ${answers}; intervals are of 95 % and for the drawing of the rows alone (${(tookMs / 1000).toFixed(0)} s):`,
    ...table([
      ['    parent', 'rows', 'alone', 'composed', 'interval', 'routed to it'],
      ...tasks.map(({ parent, rows, split, alone, composed, composedLow, composedHigh, routed }) => [
        `    ${parent}`,
        split === 'test' ? String(rows) : `${rows} of ${split}`,
        alone.toFixed(2),
        composed.toFixed(2),
        range(composedLow, composedHigh, 2),
        routed.toFixed(2),
      ]),
    ]),
    `    normalised score about ${normalized.toFixed(3)} (${range(normalizedLow, normalizedHigh, 3)})`,
    `    ${note}`,
  ];
}
