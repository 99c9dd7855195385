import type { ProcessMemory } from '../mesh/process-memory.js';
import { fine, wrong, type Check } from './check.js';

/** What an idle mesh may take, bytes: 1.2 GB. */
export const MEMORY_BUDGET_BYTES = 1.2e9;

/** Bytes for people. */
export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

/** The memory of all processes together. */
export function sumOf(parts: readonly ProcessMemory[]): ProcessMemory {
  return {
    rssBytes: parts.reduce((sum, { rssBytes }) => sum + rssBytes, 0),
    pssBytes: parts.reduce((sum, { pssBytes }) => sum + pssBytes, 0),
  };
}

/** Resident memory against the budget; what processes share is counted in each, so the true need is less. */
export function checkMemory({ rssBytes }: ProcessMemory): Check {
  const detail = `${mebibytes(rssBytes)} resident of ${mebibytes(MEMORY_BUDGET_BYTES)} (1.2 GB)`;
  if (rssBytes <= MEMORY_BUDGET_BYTES) return fine('memory', detail);
  return wrong(
    'memory',
    `over: ${detail}`,
    'A mesh under load may take more; one that is idle should be started again.',
  );
}
