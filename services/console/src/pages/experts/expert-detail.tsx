import { Badge, Button, Group, Stack, Table, Text, Title } from '@mantine/core';
import { IconArrowUpCircle } from '@tabler/icons-react';
import { lazy, Suspense, useState } from 'react';
import { mayActAs, useRole } from '../../api/session.js';
import type { ExpertRow, VersionRow } from '../../api/types.js';
import { bytesText, versionSummary } from './expert-facts.js';
import { PromoteDialog } from './promote-dialog.js';

/** One expert: its versions with channels, figures and where each is loaded. Operators may promote one. */
export function ExpertDetail({ expert }: { readonly expert: ExpertRow }) {
  const mayPromote = mayActAs(useRole(), 'operator');
  const [promoting, setPromoting] = useState<string>();
  return (
    <Stack>
      <div>
        <Text size="sm">{expert.description}</Text>
        <Text size="sm" className="quiet">
          {expert.task}
        </Text>
      </div>
      {expert.versions.map((version) => (
        <Version
          key={version.version}
          expert={expert.name}
          version={version}
          onPromote={
            mayPromote && version.version !== expert.stable
              ? () => {
                  setPromoting(version.version);
                }
              : undefined
          }
        />
      ))}
      {promoting !== undefined && (
        <PromoteDialog
          expert={expert}
          version={promoting}
          onClose={() => {
            setPromoting(undefined);
          }}
        />
      )}
    </Stack>
  );
}

/** Charts are large: they are fetched when there is one to draw. */
const TrainingCurve = lazy(() => import('./training-curve.js'));

/** Kinds whose bundles may hold the log of their training. */
const TRAINED_KINDS: readonly string[] = ['lowrank', 'full'];

function Version(props: {
  readonly expert: string;
  readonly version: VersionRow;
  readonly onPromote: (() => void) | undefined;
}) {
  const { expert, version, onPromote } = props;
  return (
    <section className="card" aria-label={`Version ${version.version}`}>
      <Group justify="space-between" mb={4} wrap="nowrap">
        <Group gap="xs">
          <Title order={3} size="md">
            Version {version.version}
          </Title>
          {version.channels.map((channel) => (
            <Badge key={channel} variant="light" color={channel === 'stable' ? 'sage' : 'clay'} tt="none">
              {channel}
            </Badge>
          ))}
        </Group>
        {onPromote && (
          <Button
            size="compact-sm"
            variant="light"
            leftSection={<IconArrowUpCircle size={16} />}
            onClick={onPromote}
          >
            Promote
          </Button>
        )}
      </Group>
      <Text size="sm" className="quiet" mb="sm">
        {versionSummary(version)}
      </Text>
      <Figures version={version} />
      {TRAINED_KINDS.includes(version.kind) && (
        <Suspense>
          <TrainingCurve expert={expert} version={version.version} />
        </Suspense>
      )}
      <Residents version={version} />
    </section>
  );
}

function Figures({ version }: { readonly version: VersionRow }) {
  if (version.evaluation.length === 0)
    return (
      <Text size="sm" className="quiet">
        Nothing has been measured yet.
      </Text>
    );
  return (
    <Table verticalSpacing={4} horizontalSpacing={6} className="figures-table">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Measured on</Table.Th>
          <Table.Th>Metric</Table.Th>
          <Table.Th ta="right">Value</Table.Th>
          <Table.Th ta="right">n</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {version.evaluation.map((row) => (
          <Table.Tr key={`${row.dataset}/${row.split}/${row.metric}`}>
            <Table.Td>
              {row.dataset}, {row.split}
            </Table.Td>
            <Table.Td>{row.metric}</Table.Td>
            <Table.Td className="number">{row.value.toFixed(3)}</Table.Td>
            <Table.Td className="number">{row.n.toLocaleString('en')}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

function Residents({ version }: { readonly version: VersionRow }) {
  if (version.kind === 'upstream') return null;
  if (version.residents.length === 0)
    return (
      <Text size="sm" className="quiet" mt="xs">
        No host has it loaded.
      </Text>
    );
  return version.residents.map((resident) => (
    <Group key={resident.host} justify="space-between" mt="xs">
      <Text size="sm">{resident.host}</Text>
      <Text size="sm" className="quiet">
        {resident.state}
        {resident.errorCode === '' ? '' : ` (${resident.errorCode})`} · {bytesText(resident.memoryBytes)}
      </Text>
    </Group>
  ));
}
