import { Stack } from '@mantine/core';
import { IconGitMerge } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useParams } from 'wouter';
import { api, ApiError } from '../../api/client.js';
import type { CompositionRow } from '../../api/composition-types.js';
import { PageHead } from '../../layout/page-head.js';
import { Empty } from '../../states/empty.js';
import { Fault } from '../../states/fault.js';
import { Loading } from '../../states/loading.js';
import { Stale } from '../../states/stale.js';
import { CompositionBoard } from './composition-board.js';
import { compositionKey } from './composition-facts.js';
import { CompositionList } from './composition-list.js';

const REFRESH_MS = 10_000;

/** The composed experts: where each comes from, and what it keeps of its parents. */
export function CompositionsPage() {
  const { name, version } = useParams<{ name?: string; version?: string }>();
  const query = useQuery({
    queryKey: ['compositions'],
    queryFn: api.compositions,
    refetchInterval: REFRESH_MS,
  });
  const isStale = query.error instanceof ApiError && query.error.isUnreachable;
  const rows = query.data ?? [];
  const wanted = name !== undefined && version !== undefined ? compositionKey({ name, version }) : undefined;
  const chosen = wanted === undefined ? rows[0] : rows.find((row) => compositionKey(row) === wanted);
  return (
    <Stack gap="lg" maw={1180} mx="auto">
      <PageHead
        title="Compositions"
        purpose="Several experts as one: where it comes from, what it keeps of each, and what it takes."
      />
      {isStale && <Stale since={query.dataUpdatedAt === 0 ? undefined : new Date(query.dataUpdatedAt)} />}
      {query.error && !isStale && <Fault fault={query.error} onRetry={() => void query.refetch()} />}
      {query.isLoading && <Loading label="Asking for the compositions" />}
      {query.data && rows.length === 0 && (
        <div className="card">
          <Empty icon={<IconGitMerge size={22} />} title="No compositions">
            One graph can serve the tasks of several experts. Make one with{' '}
            <code>npx thalamus compose run banking77 snips7</code>.
          </Empty>
        </div>
      )}
      {rows.length > 0 && (
        <div className={query.error ? 'old' : undefined} data-testid="compositions">
          <CompositionList
            rows={rows}
            chosen={chosen}
            isNamed={wanted !== undefined}
            now={query.dataUpdatedAt}
          />
        </div>
      )}
      {query.data && wanted !== undefined && !chosen && rows.length > 0 && (
        <Fault fault={new ApiError(404, 'RESOURCE_NOT_FOUND', `There is no composition ${wanted}.`)} />
      )}
      {chosen && (
        <div className={wanted === undefined ? 'wide-only' : undefined}>
          <Chosen key={compositionKey(chosen)} row={chosen} />
        </div>
      )}
    </Stack>
  );
}

function Chosen({ row: { name, version } }: { readonly row: CompositionRow }) {
  const { data, error, isLoading, refetch } = useQuery({
    queryKey: ['composition', name, version],
    queryFn: () => api.composition(name, version),
    // What was measured never changes; the list says when it ends.
    staleTime: Infinity,
  });
  return (
    <Stack gap="md">
      {error && <Fault fault={error} onRetry={() => void refetch()} />}
      {isLoading && <Loading label="Reading what was measured" />}
      {data && <CompositionBoard composition={data} />}
    </Stack>
  );
}
