import { FileComparison, parseDimensions } from '@thalamus/compatibility';
import { ThalamusError } from '@thalamus/errors';
import { VERDICT_EXIT } from '../exit-codes.js';
import { endBySystem } from '../interruption.js';
import { createOutput } from '../output.js';
import { comparisonAnswer } from '../release/comparison-answer.js';
import { comparisonLines, comparisonReport } from '../release/comparison-views.js';
import { readInto } from '../release/prediction-source.js';

/** Options of `release compare`. */
export interface CompareOptions {
  readonly before?: string;
  readonly after?: string;
  /** Dimensions, separated by commas. */
  readonly slices?: string;
  readonly budget: number;
  readonly items: number;
  readonly report?: 'md';
  readonly json: boolean;
  readonly data: string;
}

const EXITS = {
  compatible: VERDICT_EXIT.passed,
  incompatible: VERDICT_EXIT.failed,
  inconclusive: VERDICT_EXIT.inconclusive,
};

/** Compares two prediction files and prints figures and verdict, which is also the exit code. @throws DATASET_INVALID, CONFIG_INVALID */
export async function compare(
  oldFile: string | undefined,
  newFile: string | undefined,
  options: CompareOptions,
): Promise<void> {
  const { slices, budget, items, report, json, data } = options;
  if (json && report !== undefined)
    throw new ThalamusError('CONFIG_INVALID', '--json and --report exclude each other; take one of them.');
  const files = {
    before: oneOf('--before', options.before, oldFile),
    after: oneOf('--after', options.after, newFile),
  };
  const dimensions = slices === undefined ? {} : { dimensions: parseDimensions(slices) };
  const comparison = new FileComparison({ files, ...dimensions });
  const giveBack = endBySystem();
  try {
    await readInto(comparison, { ...files, data });
    const result = comparison.result({ budget, items });
    createOutput(json).answer(comparisonAnswer(result, budget), () =>
      report === 'md' ? comparisonReport(result, budget) : comparisonLines(result),
    );
    process.exitCode = EXITS[result.verdict];
  } finally {
    giveBack();
  }
}

function oneOf(flag: string, option: string | undefined, argument: string | undefined): string {
  if (option !== undefined && argument !== undefined)
    throw new ThalamusError(
      'CONFIG_INVALID',
      `${flag} ${option} and the argument ${argument} name the same file twice; leave one away.`,
    );
  const file = option ?? argument;
  if (file === undefined)
    throw new ThalamusError('CONFIG_INVALID', `${flag} FILE is missing; name a JSONL file of predictions.`);
  return file;
}
