import { Badge, Group, Stack, Table, Text } from '@mantine/core';
import { Link } from 'wouter';
import type { ExpertRow } from '../../api/types.js';
import { accuracyOf, bytesText, residencyOf } from './expert-facts.js';

interface ListProps {
  readonly rows: readonly ExpertRow[];
  readonly onOpen: (row: ExpertRow) => void;
}

/** Experts as a table, or as cards where there is no room for one. */
export function ExpertList(props: ListProps) {
  return (
    <>
      <div className="card" style={{ padding: 0, overflow: 'hidden' }} data-wide>
        <ExpertTable {...props} />
      </div>
      <Stack gap="sm" data-narrow>
        {props.rows.map((row) => (
          <ExpertCard key={row.name} row={row} />
        ))}
      </Stack>
    </>
  );
}

function ExpertTable({ rows, onOpen }: ListProps) {
  return (
    <Table highlightOnHover verticalSpacing="sm" horizontalSpacing="md">
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
        {rows.map((row) => {
          const residency = residencyOf(row);
          return (
            <Table.Tr
              key={row.name}
              style={{ cursor: 'pointer' }}
              onClick={() => {
                onOpen(row);
              }}
            >
              <Table.Td>
                <ExpertName row={row} />
                <Text size="xs" className="quiet" lineClamp={1} maw={620} title={row.description}>
                  {row.description}
                </Text>
              </Table.Td>
              <Table.Td className="nowrap">{row.task}</Table.Td>
              <Table.Td className="nowrap">{stableText(row)}</Table.Td>
              <Table.Td className="number nowrap">{accuracyOf(row)}</Table.Td>
              <Table.Td className="nowrap">
                <Badge variant="light" tt="none" color={residency.colour} style={{ flexShrink: 0 }}>
                  {residency.text}
                </Badge>
              </Table.Td>
              <Table.Td className="number nowrap">{bytesText(residency.memoryBytes)}</Table.Td>
            </Table.Tr>
          );
        })}
      </Table.Tbody>
    </Table>
  );
}

function ExpertCard({ row }: { readonly row: ExpertRow }) {
  const residency = residencyOf(row);
  return (
    <article className="card">
      <Group justify="space-between" wrap="nowrap" mb={2}>
        <ExpertName row={row} />
        <Badge variant="light" tt="none" color={residency.colour} style={{ flexShrink: 0 }}>
          {residency.text}
        </Badge>
      </Group>
      <Text size="xs" className="quiet" mb={6}>
        {row.description}
      </Text>
      <dl className="facts">
        <Fact name="task" value={row.task} />
        <Fact name="stable" value={stableText(row)} />
        <Fact name="accuracy" value={accuracyOf(row)} />
        <Fact name="memory" value={bytesText(residency.memoryBytes)} />
      </dl>
    </article>
  );
}

function Fact({ name, value }: { readonly name: string; readonly value: string }) {
  if (value === '–') return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function ExpertName({ row }: { readonly row: ExpertRow }) {
  return (
    <Link href={`/experts/${row.name}`} className="row-link">
      {row.name}
    </Link>
  );
}

/** The stable version, and how many others there are. */
function stableText({ stable, versions }: ExpertRow): string {
  const others = versions.length - 1;
  return stable === '' ? '–' : others > 0 ? `${stable}, and ${others} more` : stable;
}
