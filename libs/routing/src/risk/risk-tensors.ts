import { ThalamusError } from '@thalamus/errors';
import type { NamedTensor, ReadTensor } from '../router-tensors.js';
import type { RiskRows } from './control-risk.js';

const PREDICTED = 'risk.predicted';
const MEASURED = 'risk.measured';

/** Tensors of the file with the rows for bounds on the risk. */
export function riskTensors({ predicted, measured, candidates }: RiskRows): NamedTensor[] {
  const shape = [measured.length / candidates, candidates];
  return [
    { name: PREDICTED, shape, values: predicted, precision: 'float32' },
    { name: MEASURED, shape, values: measured, precision: 'float32' },
  ];
}

/** Rows from the tensors of their file. @throws BUNDLE_INVALID for a value that is none, and what `read` throws */
export function riskRowsFromTensors(
  facts: { readonly rows: number; readonly candidates: number; readonly bound: number },
  read: ReadTensor,
): RiskRows {
  const { rows, candidates, bound } = facts;
  const predicted = read(PREDICTED, [rows, candidates]);
  const measured = read(MEASURED, [rows, candidates]);
  if (!predicted.every(Number.isFinite)) throw broken(PREDICTED, 'is finite');
  if (!measured.every((loss) => Number.isNaN(loss) || Number.isFinite(loss)))
    throw broken(MEASURED, 'is finite, or NaN for no result');
  return { predicted, measured, candidates, bound };
}

function broken(tensor: string, wanted: string): ThalamusError {
  return new ThalamusError(
    'BUNDLE_INVALID',
    `The tensor ${tensor} of a router model holds a value that is none; each ${wanted}. Train the router model anew.`,
  );
}
