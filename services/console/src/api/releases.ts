import { call } from './client.js';
import type { Flips, LiveReading, Release, ReleasePage } from './release-types.js';

const PATH = '/admin/v1/releases';
const PAGE_SIZE = 50;
/** Flipped items that are asked for: more than a person reads. */
const MOST_FLIPS = 1_000;

/** How a person moves a release. */
export type Move = 'approve' | 'promote' | 'rollback';

const one = (id: string) => `${PATH}/${encodeURIComponent(id)}`;

/** Calls of the gateway about releases. */
export const releasesApi = {
  page: async (after: string) =>
    (await call(`${PATH}?limit=${PAGE_SIZE}&after=${encodeURIComponent(after)}`)) as ReleasePage,
  release: async (id: string) => (await call(one(id))) as Release,
  flips: async (id: string) => (await call(`${one(id)}/flips?limit=${MOST_FLIPS}`)) as Flips,
  readings: async (id: string) =>
    ((await call(`${one(id)}/readings`)) as { data: readonly LiveReading[] }).data,
  repair: async ({ id, dataset }: { id: string; dataset: string }) =>
    (await call(`${one(id)}/repair`, { method: 'POST', body: { dataset } })) as Release,
  move: async ({ id, move, reason }: { id: string; move: Move; reason: string }) =>
    (await call(`${one(id)}/${move}`, { method: 'POST', body: { reason } })) as Release,
};
