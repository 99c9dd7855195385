import { Badge, Button, Stack, Table, Text } from '@mantine/core';
import { IconKey, IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, ApiError } from '../../api/client.js';
import type { KeyRow } from '../../api/types.js';
import { PageHead } from '../../layout/page-head.js';
import { Empty } from '../../states/empty.js';
import { Fault } from '../../states/fault.js';
import { Loading } from '../../states/loading.js';
import { Stale } from '../../states/stale.js';
import { CreateKeyDialog } from './create-key-dialog.js';
import { newestFirst } from './key-order.js';
import { RevokeKeyDialog } from './revoke-key-dialog.js';

const REFRESH_MS = 10_000;

/** The keys of the mesh: who may call, as what. For administrators. */
export function KeysPage() {
  const query = useQuery({ queryKey: ['keys'], queryFn: api.keys, refetchInterval: REFRESH_MS });
  const [isCreating, setIsCreating] = useState(false);
  const [revoking, setRevoking] = useState<KeyRow>();
  const isAway = query.error instanceof ApiError && query.error.isUnreachable;
  return (
    <Stack gap="lg" maw={1180} mx="auto">
      <PageHead
        title="Keys"
        purpose="Who may call this mesh, and as what. Secrets are shown once and kept nowhere."
      >
        <Button
          leftSection={<IconPlus size={16} />}
          onClick={() => {
            setIsCreating(true);
          }}
        >
          Create a key
        </Button>
      </PageHead>
      {isAway && <Stale since={query.data && new Date(query.dataUpdatedAt)} />}
      {query.error && !isAway && <Fault fault={query.error} onRetry={() => void query.refetch()} />}
      {query.isLoading && <Loading label="Reading the registry" />}
      {query.data?.length === 0 && (
        <div className="card">
          <Empty icon={<IconKey size={22} />} title="No keys">
            Create one for each program and person, so that each can be revoked alone.
          </Empty>
        </div>
      )}
      {query.data && query.data.length > 0 && (
        <KeyTable rows={newestFirst(query.data)} onRevoke={setRevoking} />
      )}
      {isCreating && (
        <CreateKeyDialog
          onClose={() => {
            setIsCreating(false);
          }}
        />
      )}
      {revoking && (
        <RevokeKeyDialog
          row={revoking}
          onClose={() => {
            setRevoking(undefined);
          }}
        />
      )}
    </Stack>
  );
}

function KeyTable(props: { readonly rows: readonly KeyRow[]; readonly onRevoke: (row: KeyRow) => void }) {
  return (
    <div className="card" style={{ padding: 0 }}>
      <Table verticalSpacing="sm" horizontalSpacing="md" className="keys-table">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Key</Table.Th>
            <Table.Th className="wide-only">Tenant</Table.Th>
            <Table.Th className="wide-only">Role</Table.Th>
            <Table.Th className="wide-only">Made</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>
              <span className="unseen">Actions</span>
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {props.rows.map((row) => (
            <Table.Tr key={row.id}>
              <Table.Td>
                <Text size="sm" ff="monospace">
                  {row.id}
                </Text>
                <Text size="xs" className="quiet">
                  {row.description}
                </Text>
                <Text size="xs" className="quiet narrow-only">
                  {row.tenant} · {row.role} · {dayText(row.createdAt)}
                </Text>
              </Table.Td>
              <Table.Td className="wide-only">{row.tenant}</Table.Td>
              <Table.Td className="wide-only">{row.role}</Table.Td>
              <Table.Td className="nowrap wide-only">{dayText(row.createdAt)}</Table.Td>
              <Table.Td>
                <Badge
                  variant="light"
                  tt="none"
                  style={{ flexShrink: 0, minWidth: 'max-content' }}
                  color={row.revokedAt === null ? 'sage' : 'gray'}
                >
                  {row.revokedAt === null ? 'valid' : 'revoked'}
                </Badge>
              </Table.Td>
              <Table.Td ta="right">
                {row.revokedAt === null && (
                  <Button
                    size="compact-sm"
                    variant="subtle"
                    color="red"
                    aria-label={`Revoke ${row.id}`}
                    onClick={() => {
                      props.onRevoke(row);
                    }}
                  >
                    Revoke
                  </Button>
                )}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}

function dayText(time: string | null): string {
  return time === null ? '–' : new Date(time).toLocaleDateString('en-GB', { dateStyle: 'medium' });
}
