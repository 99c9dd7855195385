import { Badge, Group, Stack, Table, Text } from '@mantine/core';
import type { ExpertRow, VersionRow } from '../../api/types.js';
import { bytesText } from './expert-facts.js';

/** One expert: its versions with channels, figures and where each is loaded. */
export function ExpertDetail({ expert }: { readonly expert: ExpertRow }) {
  return (
    <Stack>
      <Text size="sm">{expert.description}</Text>
      <Text size="sm" className="quiet">
        {expert.task}
      </Text>
      {expert.versions.map((version) => (
        <Version key={version.version} version={version} />
      ))}
    </Stack>
  );
}

function Version({ version }: { readonly version: VersionRow }) {
  return (
    <div className="card">
      <Group gap="xs" mb="xs">
        <Text fw={650}>Version {version.version}</Text>
        {version.channels.map((channel) => (
          <Badge key={channel} variant="light" color={channel === 'stable' ? 'sage' : 'clay'} tt="none">
            {channel}
          </Badge>
        ))}
      </Group>
      <Text size="sm" className="quiet" mb="sm">
        {version.kind} · {bytesText(version.sizeBytes)} · {(version.parameterCount / 1e6).toFixed(1)} M
        parameters · {version.licence}
      </Text>
      {version.evaluation.length > 0 && (
        <Table verticalSpacing={4}>
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
                <Table.Td className="number">{row.n.toLocaleString()}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      {version.residents.map((resident) => (
        <Group key={resident.host} justify="space-between" mt="xs">
          <Text size="sm">{resident.host}</Text>
          <Text size="sm" className="quiet">
            {resident.state}
            {resident.errorCode === '' ? '' : ` (${resident.errorCode})`} · {bytesText(resident.memoryBytes)}
          </Text>
        </Group>
      ))}
    </div>
  );
}
