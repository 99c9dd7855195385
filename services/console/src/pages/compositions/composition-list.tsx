import { Group, Stack, Table, Text } from '@mantine/core';
import { Link, useLocation } from 'wouter';
import type { CompositionRow } from '../../api/composition-types.js';
import { bytesText } from '../experts/expert-facts.js';
import { ageText, compositionKey, expiryText, parentsText, shareText } from './composition-facts.js';

interface ListProps {
  readonly rows: readonly CompositionRow[];
  readonly chosen: CompositionRow | undefined;
  /** Whether the address names the chosen one. */
  readonly isNamed: boolean;
  /** Unix time in milliseconds. */
  readonly now: number;
}

/** Compositions as a table that scrolls by itself; where there is no room for one as cards, of which the one that was opened stays. */
export function CompositionList(props: ListProps) {
  const shown = props.isNamed && props.chosen ? [props.chosen] : props.rows;
  return (
    <>
      <div
        className="card composition-list"
        tabIndex={0}
        role="group"
        aria-label="All compositions"
        data-wide
      >
        <CompositionTable {...props} />
      </div>
      <Stack gap="sm" data-narrow>
        {shown.map((row) => (
          <CompositionCard key={compositionKey(row)} {...props} row={row} />
        ))}
        {shown.length < props.rows.length && (
          <Link href="/compositions" className="row-link">
            All {props.rows.length} compositions
          </Link>
        )}
      </Stack>
    </>
  );
}

function CompositionTable({ rows, chosen, now }: ListProps) {
  const [, go] = useLocation();
  return (
    <Table highlightOnHover verticalSpacing="sm" horizontalSpacing="md" stickyHeader>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Composition</Table.Th>
          <Table.Th>Method</Table.Th>
          <Table.Th>Parents</Table.Th>
          <Table.Th ta="right">Score</Table.Th>
          <Table.Th ta="right">Size</Table.Th>
          <Table.Th ta="right">Age</Table.Th>
          <Table.Th ta="right" className="nowrap">
            Ends unused
          </Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.map((row) => (
          <Table.Tr
            key={compositionKey(row)}
            data-chosen={row === chosen}
            style={{ cursor: 'pointer' }}
            onClick={() => {
              go(pathOf(row));
            }}
          >
            <Table.Td className="nowrap">
              <Name row={row} isChosen={row === chosen} />
            </Table.Td>
            <Table.Td className="nowrap">{row.method ?? '–'}</Table.Td>
            <Table.Td>
              <Text size="sm" lineClamp={1} title={parentsText(row.parents, Infinity)}>
                {parentsText(row.parents)}
              </Text>
            </Table.Td>
            <Table.Td className="number nowrap">{shareText(row.normalized)}</Table.Td>
            <Table.Td className="number nowrap">{bytesText(row.sizeBytes)}</Table.Td>
            <Table.Td className="number nowrap">{ageText(row, now)}</Table.Td>
            <Table.Td className="number nowrap">{expiryText(row, now)}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

function CompositionCard({ row, chosen, now }: ListProps & { readonly row: CompositionRow }) {
  const facts = [
    ['size', bytesText(row.sizeBytes)],
    ['age', ageText(row, now)],
    ['ends unused', expiryText(row, now)],
  ];
  return (
    <article className="card composition-card" data-chosen={row === chosen}>
      <Group justify="space-between" wrap="nowrap" mb={2}>
        <Name row={row} isChosen={row === chosen} />
        <Text className="number nowrap" fw={600}>
          {shareText(row.normalized)}
        </Text>
      </Group>
      <Text size="xs" className="quiet" mb={6}>
        {row.method ?? 'composed'} of {parentsText(row.parents)}
      </Text>
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </article>
  );
}

function Name({ row, isChosen }: { readonly row: CompositionRow; readonly isChosen: boolean }) {
  return (
    <Link href={pathOf(row)} className="row-link" aria-current={isChosen ? 'true' : undefined}>
      {row.name}
      <span className="quiet">@{row.version}</span>
    </Link>
  );
}

const pathOf = ({ name, version }: CompositionRow) => `/compositions/${name}/${version}`;
