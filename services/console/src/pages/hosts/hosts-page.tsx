import { Stack } from '@mantine/core';
import { IconServer2 } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { api, ApiError } from '../../api/client.js';
import { PageHead } from '../../layout/page-head.js';
import { Empty } from '../../states/empty.js';
import { Fault } from '../../states/fault.js';
import { Loading } from '../../states/loading.js';
import { Stale } from '../../states/stale.js';
import { HostCard } from './host-card.js';

const REFRESH_MS = 2_000;

/** Every expert host with what it keeps in memory. */
export function HostsPage() {
  const query = useQuery({ queryKey: ['hosts'], queryFn: api.hosts, refetchInterval: REFRESH_MS });
  const isStale = query.error instanceof ApiError && query.error.isUnreachable;
  const hosts = query.data ?? [];
  return (
    <Stack gap="lg" maw={1180} mx="auto">
      <PageHead title="Hosts" purpose="What each expert host keeps in memory, and what it loads on demand." />
      {isStale && <Stale since={query.dataUpdatedAt === 0 ? undefined : new Date(query.dataUpdatedAt)} />}
      {query.error && !isStale && <Fault fault={query.error} onRetry={() => void query.refetch()} />}
      {query.isLoading && <Loading label="Asking what hosts have in memory" />}
      {query.data && hosts.length === 0 && (
        <div className="card">
          <Empty icon={<IconServer2 size={22} />} title="No hosts">
            No expert host has been heard of. Start one with <code>npm start</code>, or look at what the one
            that should be there says.
          </Empty>
        </div>
      )}
      <Stack gap="lg" className={query.error ? 'old' : undefined}>
        {hosts.map((host) => (
          <HostCard key={host.id} host={host} now={query.dataUpdatedAt} />
        ))}
      </Stack>
    </Stack>
  );
}
