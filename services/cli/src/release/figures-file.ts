import { MEASURES, type FigureName, type GateEvidence } from '@thalamus/compatibility';
import { ThalamusError } from '@thalamus/errors';
import { z } from 'zod';
import { readText } from './text-file.js';

const NAMES = Object.entries(MEASURES).flatMap(([name, { from }]) =>
  from === 'figure' ? [name as FigureName] : [],
);

const figure = z
  .strictObject({
    value: z.number(),
    n: z.number().nonnegative(),
    low: z.number().optional(),
    high: z.number().optional(),
    pValue: z.number().min(0).max(1).optional(),
  })
  .refine(
    ({ low, high }) => (low === undefined) === (high === undefined),
    'needs both low and high, or neither',
  );

const figures = z.record(z.string(), z.partialRecord(z.enum(NAMES as [FigureName, ...FigureName[]]), figure));

/** Reads measured figures: `{shadow: {errorRate: {value, n, low?, high?, pValue?}}}`. @throws CONFIG_INVALID that names the file and the field */
export function readFigures(path: string): NonNullable<GateEvidence['figures']> {
  let value: unknown;
  try {
    value = JSON.parse(readText(path));
  } catch (cause) {
    if (ThalamusError.is(cause)) throw cause;
    throw new ThalamusError('CONFIG_INVALID', `${path} is not JSON.`, { cause });
  }
  const result = figures.safeParse(value);
  if (result.success) return result.data as NonNullable<GateEvidence['figures']>;
  const faults = result.error.issues.map(
    ({ path: field, message }) => `${field.join('.') || 'it'}: ${message}`,
  );
  throw new ThalamusError('CONFIG_INVALID', `${path} holds no figures of a gate: ${faults.join('; ')}.`);
}
