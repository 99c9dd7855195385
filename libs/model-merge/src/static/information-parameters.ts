import { z } from 'zod';

const whole = (least: number, most: number) => {
  const range = `must be a whole number, ${least} to ${most}`;
  return z.number(range).int(range).min(least, range).max(most, range);
};

/** Rows and labels that stand where a recipe says none: ours, as many as make the mean of a squared gradient steady within minutes. */
export const INFORMATION_DEFAULTS = { rows: 128, labels: 1 } as const;

/** How Fisher information is measured, for methods that need it. */
export const informationParameters = z.strictObject({
  information_rows: whole(1, 100_000).default(INFORMATION_DEFAULTS.rows),
  information_labels: whole(0, 64).default(INFORMATION_DEFAULTS.labels),
});
