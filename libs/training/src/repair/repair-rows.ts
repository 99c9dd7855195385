import { MIN_REPAIR_ROWS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { NamedRows } from '../methods/split-training.js';

/** SPDX's word for a licence that nobody has stated. */
const NOT_STATED = 'NOASSERTION';

/** @throws DATASET_INVALID for too few rows to train, choose and judge with */
export function requireRepairRows({ rows, file }: NamedRows): void {
  if (rows.length >= MIN_REPAIR_ROWS) return;
  throw new ThalamusError(
    'DATASET_INVALID',
    `${file} holds ${rows.length} rows; a repair trains, chooses and judges with them and needs at least ${MIN_REPAIR_ROWS}, better some hundred.`,
  );
}

/** Licence of a repaired version: that of the new one, and that of the rows where one is stated. SPDX expressions. */
export function repairedLicence(version: string, rows: string): string {
  return rows === NOT_STATED || rows === version ? version : `${version} AND ${rows}`;
}
