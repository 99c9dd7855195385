import { ThalamusError } from '@thalamus/errors';

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** The fault of a write: ARTIFACT_STORE_FULL when the disk or its quota is used up, else the fault as it is. */
export function storageError(cause: unknown, folder: string): unknown {
  if (!FULL.has(systemCode(cause))) return cause;
  return new ThalamusError(
    'ARTIFACT_STORE_FULL',
    `The disk of ${folder} has no space left; free space on it, or choose a folder on another disk.`,
    { cause },
  );
}

/** Code of a system error, such as ENOENT; empty for other faults. */
export function systemCode(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : '';
}
