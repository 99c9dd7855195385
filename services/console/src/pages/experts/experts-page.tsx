import { Badge, Drawer, Group, Stack, Table, Text, TextInput, Title } from '@mantine/core';
import { IconBox, IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useLocation, useParams } from 'wouter';
import { api } from '../../api/client.js';
import type { ExpertRow } from '../../api/types.js';
import { Empty } from '../../states/empty.js';
import { Fault } from '../../states/fault.js';
import { Loading } from '../../states/loading.js';
import { ExpertDetail } from './expert-detail.js';
import { accuracyOf, bytesText, residencyOf } from './expert-facts.js';

const REFRESH_MS = 5_000;

/** Every expert with its stable version, where it is loaded, and how well it does. */
export function ExpertsPage() {
  const [filter, setFilter] = useState('');
  const [, go] = useLocation();
  const { name } = useParams<{ name?: string }>();
  const query = useQuery({ queryKey: ['experts'], queryFn: api.experts, refetchInterval: REFRESH_MS });
  const rows = (query.data ?? []).filter((row) =>
    `${row.name} ${row.task}`.includes(filter.trim().toLowerCase()),
  );
  const chosen = query.data?.find((row) => row.name === name);
  return (
    <Stack gap="lg" maw={1180} mx="auto">
      <Group justify="space-between" align="flex-end">
        <div>
          <Title order={2}>Experts</Title>
          <Text className="quiet">Who can be routed to, in which version, and where it is loaded.</Text>
        </div>
        <TextInput
          aria-label="Filter experts"
          placeholder="Filter"
          leftSection={<IconSearch size={16} />}
          value={filter}
          onChange={(event) => {
            setFilter(event.currentTarget.value);
          }}
        />
      </Group>
      {query.error && <Fault fault={query.error} onRetry={() => void query.refetch()} />}
      {query.isLoading && <Loading label="Reading the registry" />}
      {query.data && rows.length === 0 && (
        <div className="card">
          <Empty icon={<IconBox size={22} />} title={filter === '' ? 'No experts' : 'Nothing matches'}>
            {filter === ''
              ? 'Add one with npx thalamus experts add <folder>.'
              : 'Try another word, or clear the filter.'}
          </Empty>
        </div>
      )}
      {rows.length > 0 && (
        <div className="card" style={{ padding: 0, overflowX: 'auto' }}>
          <ExpertTable
            rows={rows}
            onOpen={(row) => {
              go(`/experts/${row.name}`);
            }}
          />
        </div>
      )}
      <Drawer
        opened={chosen !== undefined}
        onClose={() => {
          go('/experts');
        }}
        position="right"
        size="lg"
        title={<Text fw={650}>{chosen?.name}</Text>}
      >
        {chosen && <ExpertDetail expert={chosen} />}
      </Drawer>
    </Stack>
  );
}

function ExpertTable(props: {
  readonly rows: readonly ExpertRow[];
  readonly onOpen: (row: ExpertRow) => void;
}) {
  return (
    <Table highlightOnHover verticalSpacing="sm" horizontalSpacing="md" miw={760}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Expert</Table.Th>
          <Table.Th>Task</Table.Th>
          <Table.Th>Stable</Table.Th>
          <Table.Th ta="right">Accuracy</Table.Th>
          <Table.Th>Loaded</Table.Th>
          <Table.Th ta="right">Memory</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {props.rows.map((row) => {
          const residency = residencyOf(row);
          return (
            <Table.Tr
              key={row.name}
              tabIndex={0}
              style={{ cursor: 'pointer' }}
              onClick={() => {
                props.onOpen(row);
              }}
              onKeyDown={(event) => {
                if (event.key === 'Enter') props.onOpen(row);
              }}
            >
              <Table.Td>
                <Text size="sm" fw={600}>
                  {row.name}
                </Text>
                <Text size="xs" className="quiet" lineClamp={1} maw={340}>
                  {row.description}
                </Text>
              </Table.Td>
              <Table.Td>
                <Text size="sm">{row.task}</Text>
              </Table.Td>
              <Table.Td>
                <Text size="sm">{row.stable === '' ? '–' : `${row.stable} of ${row.versions.length}`}</Text>
              </Table.Td>
              <Table.Td className="number">{accuracyOf(row)}</Table.Td>
              <Table.Td>
                <Badge variant="light" tt="none" color={residency.colour}>
                  {residency.text}
                </Badge>
              </Table.Td>
              <Table.Td className="number">{bytesText(residency.memoryBytes)}</Table.Td>
            </Table.Tr>
          );
        })}
      </Table.Tbody>
    </Table>
  );
}
