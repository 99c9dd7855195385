import { expect, it } from 'vitest';
import { newestFirst } from './key-order.js';

it('puts valid keys first, the newest of them on top', () => {
  const row = (id: string, createdAt: string | null, revokedAt: string | null = null) =>
    ({ id, tenant: 'default', role: 'viewer', description: '', createdAt, revokedAt }) as const;
  const rows = [
    row('old', '2026-01-01T00:00:00Z'),
    row('revoked', '2026-03-01T00:00:00Z', '2026-03-02T00:00:00Z'),
    row('undated', null),
    row('new', '2026-02-01T00:00:00Z'),
  ];
  expect(newestFirst(rows).map(({ id }) => id)).toEqual(['new', 'old', 'undated', 'revoked']);
});
