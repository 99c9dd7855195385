import { compareContracts, settleContract } from '@thalamus/compatibility';
import { ThalamusError } from '@thalamus/errors';
import { VERDICT_EXIT } from '../exit-codes.js';
import { createOutput, table } from '../output.js';
import { contractOf } from '../release/contract-of.js';
import { openSource } from '../release/contract-source.js';

/** Options of `release diff`. */
export interface DiffOptions {
  readonly override?: string;
  readonly json: boolean;
  readonly data: string;
}

/**
 * Prints what differs between two versions besides their answers; exit code 1 when callers break and no reason is given.
 * @throws BUNDLE_INVALID, GRAPH_INVALID, EXPERT_NOT_FOUND, CONFIG_INVALID
 */
export async function diff(before: string, after: string, options: DiffOptions): Promise<void> {
  const { override, json, data } = options;
  if (override?.trim() === '')
    throw new ThalamusError('CONFIG_INVALID', '--override is empty; say why callers may break.');
  const [old, own] = [await openSource(before, data), await openSource(after, data)];
  const differences = compareContracts(await contractOf(old), await contractOf(own));
  const { breaking, isAllowed, override: reason } = settleContract(differences, override);
  const answer = {
    before: old.name,
    after: own.name,
    differences,
    breaking: breaking.length,
    allowed: isAllowed,
    ...(reason === undefined ? {} : { override: reason }),
  };
  createOutput(json).answer(answer, () => [
    ...(differences.length === 0 ? [`${old.name} and ${own.name} ask and give alike.`] : []),
    ...table(differences.map(({ severity, field, sentence }) => [severity, field, sentence])),
    ...(isAllowed ? [] : ['', 'Callers break: give a reason with --override, or another version.']),
    ...(reason === undefined ? [] : ['', `overridden: ${reason}`]),
  ]);
  process.exitCode = isAllowed ? VERDICT_EXIT.passed : VERDICT_EXIT.failed;
}
