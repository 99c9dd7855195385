import { Drawer, Stack, TextInput } from '@mantine/core';
import { IconBox, IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useLocation, useParams } from 'wouter';
import { api, ApiError } from '../../api/client.js';
import type { ExpertRow } from '../../api/types.js';
import { PageHead } from '../../layout/page-head.js';
import { Empty } from '../../states/empty.js';
import { Fault } from '../../states/fault.js';
import { Loading } from '../../states/loading.js';
import { Stale } from '../../states/stale.js';
import { ExpertDetail } from './expert-detail.js';
import { ExpertList } from './expert-list.js';

const REFRESH_MS = 5_000;

/** Every expert with its stable version, where it is loaded, and how well it does. */
export function ExpertsPage() {
  const [filter, setFilter] = useState('');
  const [, go] = useLocation();
  const { name } = useParams<{ name?: string }>();
  const query = useQuery({ queryKey: ['experts'], queryFn: api.experts, refetchInterval: REFRESH_MS });
  const word = filter.trim().toLowerCase();
  const rows = (query.data ?? []).filter((row) =>
    `${row.name} ${row.task} ${row.description}`.toLowerCase().includes(word),
  );
  const chosen = query.data?.find((row) => row.name === name);
  const close = () => {
    go('/experts');
  };
  return (
    <Stack gap="lg" maw={1180} mx="auto">
      <PageHead title="Experts" purpose="Who can be routed to, in which version, and where it is loaded.">
        <TextInput
          aria-label="Filter experts"
          placeholder="Filter"
          leftSection={<IconSearch size={16} />}
          value={filter}
          onChange={(event) => {
            setFilter(event.currentTarget.value);
          }}
        />
      </PageHead>
      <Trouble fault={query.error} updatedAt={query.dataUpdatedAt} onRetry={() => void query.refetch()} />
      {query.data && name !== undefined && !chosen && (
        <Fault fault={new ApiError(404, 'EXPERT_NOT_FOUND', `There is no expert called ${name}.`)} />
      )}
      {query.isLoading && <Loading label="Reading the registry" />}
      {query.data && rows.length === 0 && <Nothing isFiltered={word !== ''} />}
      {rows.length > 0 && (
        <ExpertList
          rows={rows}
          onOpen={(row) => {
            go(`/experts/${row.name}`);
          }}
        />
      )}
      <ExpertDrawer expert={chosen} onClose={close} />
    </Stack>
  );
}

function Trouble(props: {
  readonly fault: unknown;
  readonly updatedAt: number;
  readonly onRetry: () => void;
}) {
  if (!props.fault) return null;
  if (props.fault instanceof ApiError && props.fault.isUnreachable)
    return <Stale since={props.updatedAt === 0 ? undefined : new Date(props.updatedAt)} />;
  return <Fault fault={props.fault} onRetry={props.onRetry} />;
}

function Nothing({ isFiltered }: { readonly isFiltered: boolean }) {
  return (
    <div className="card">
      <Empty icon={<IconBox size={22} />} title={isFiltered ? 'Nothing matches' : 'No experts'}>
        {isFiltered ? (
          'Try another word, or clear the filter.'
        ) : (
          <>
            Add one with <code>npx thalamus experts add</code> and its folder.
          </>
        )}
      </Empty>
    </div>
  );
}

function ExpertDrawer(props: { readonly expert: ExpertRow | undefined; readonly onClose: () => void }) {
  return (
    <Drawer
      opened={props.expert !== undefined}
      onClose={props.onClose}
      position="right"
      size="lg"
      title={props.expert?.name}
      styles={{ title: { fontWeight: 650, fontSize: 20 } }}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      {props.expert && <ExpertDetail expert={props.expert} />}
    </Drawer>
  );
}
