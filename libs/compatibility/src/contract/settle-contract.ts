import type { ContractDifference } from './model-contract.js';

/** Whether differences keep an update back. */
export interface ContractSettlement {
  readonly breaking: readonly ContractDifference[];
  /** No breaking difference, or a reason why it may break. */
  readonly isAllowed: boolean;
  /** The reason, when one was needed and given: to be recorded with who gave it. */
  readonly override?: string;
}

/** Breaking differences need a reason, which is kept with the release. @throws RangeError for a reason that says nothing */
export function settleContract(
  differences: readonly ContractDifference[],
  override?: string,
): ContractSettlement {
  if (override?.trim() === '')
    throw new RangeError('Contract: the reason of an override is empty; say why callers may break.');
  const breaking = differences.filter(({ severity }) => severity === 'breaking');
  if (breaking.length === 0) return { breaking, isAllowed: true };
  return override === undefined ? { breaking, isAllowed: false } : { breaking, isAllowed: true, override };
}
