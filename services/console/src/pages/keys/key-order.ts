import type { KeyRow } from '../../api/types.js';

/** Valid keys first, then the newest. */
export function newestFirst(rows: readonly KeyRow[]): KeyRow[] {
  return [...rows].sort(
    (a, b) =>
      Number(a.revokedAt !== null) - Number(b.revokedAt !== null) ||
      (b.createdAt ?? '').localeCompare(a.createdAt ?? '') ||
      a.id.localeCompare(b.id),
  );
}
