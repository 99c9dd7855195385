import { Badge, Group, Stack, Table, Text } from '@mantine/core';
import { Link, useLocation } from 'wouter';
import type { Release } from '../../api/release-types.js';
import { ageText, beganAt, STATES, weightText } from './release-facts.js';

interface ListProps {
  readonly rows: readonly Release[];
  /** Id of the one that is shown below. */
  readonly shown: string | undefined;
  /** Whether the address names it. */
  readonly isNamed: boolean;
  /** Unix time in milliseconds. */
  readonly now: number;
}

/** Releases as a table that scrolls by itself; where there is no room for one as cards, of which the one that was opened stays. */
export function ReleaseList(props: ListProps) {
  const cards = props.isNamed ? props.rows.filter(({ id }) => id === props.shown) : props.rows;
  return (
    <>
      <div className="card release-list" tabIndex={0} role="group" aria-label="All releases" data-wide>
        <ReleaseTable {...props} />
      </div>
      <Stack gap="sm" data-narrow>
        {cards.map((row) => (
          <ReleaseCard key={row.id} {...props} row={row} />
        ))}
        {cards.length < props.rows.length && (
          <Link href="/releases" className="row-link">
            All {props.rows.length} releases
          </Link>
        )}
      </Stack>
    </>
  );
}

function ReleaseTable({ rows, shown, now }: ListProps) {
  const [, go] = useLocation();
  return (
    <Table highlightOnHover verticalSpacing="sm" horizontalSpacing="md" stickyHeader>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Release</Table.Th>
          <Table.Th>Versions</Table.Th>
          <Table.Th>State</Table.Th>
          <Table.Th>Now</Table.Th>
          <Table.Th ta="right">Weight</Table.Th>
          <Table.Th ta="right">Age</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.map((row) => (
          <Table.Tr
            key={row.id}
            data-chosen={row.id === shown}
            style={{ cursor: 'pointer' }}
            onClick={() => {
              go(pathOf(row));
            }}
          >
            <Table.Td className="nowrap">
              <Name row={row} isChosen={row.id === shown} />
            </Table.Td>
            <Table.Td className="nowrap number-left">
              <Versions row={row} />
            </Table.Td>
            <Table.Td className="nowrap">
              <StateBadge row={row} />
            </Table.Td>
            <Table.Td>
              <Text size="sm" className="quiet" lineClamp={1} title={nowText(row)}>
                {nowText(row)}
              </Text>
            </Table.Td>
            <Table.Td className="number nowrap">{weightText(row.weight)}</Table.Td>
            <Table.Td className="number nowrap" title={beganAt(row) ?? undefined}>
              {ageText(row, now)}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

function ReleaseCard({ row, shown, now }: ListProps & { readonly row: Release }) {
  return (
    <article className="card release-card" data-chosen={row.id === shown}>
      <Group justify="space-between" wrap="nowrap" mb={4}>
        <Name row={row} isChosen={row.id === shown} />
        <StateBadge row={row} />
      </Group>
      <dl className="facts">
        <div>
          <dt>versions</dt>
          <dd>
            <Versions row={row} />
          </dd>
        </div>
        <div>
          <dt>weight</dt>
          <dd>{weightText(row.weight)}</dd>
        </div>
        <div>
          <dt>age</dt>
          <dd>{ageText(row, now)}</dd>
        </div>
      </dl>
    </article>
  );
}

function Name({ row, isChosen }: { readonly row: Release; readonly isChosen: boolean }) {
  return (
    <Link href={pathOf(row)} className="row-link" aria-current={isChosen ? 'true' : undefined} title={row.id}>
      {row.expert}
      <span className="unseen">
        {' '}
        {row.fromVersion} to {row.toVersion}
      </span>
    </Link>
  );
}

/** The version before, and the candidate. */
export function Versions({ row }: { readonly row: Release }) {
  return (
    <>
      {row.fromVersion} <span className="quiet">→</span> {row.toVersion}
    </>
  );
}

/** The state as a word with a colour. */
export function StateBadge({ row: { state } }: { readonly row: Release }) {
  const { name, color } = STATES[state];
  return (
    <Badge variant="light" color={color} tt="none" miw="max-content" data-testid="state">
      {name}
    </Badge>
  );
}

/** What it waits for, else why it came where it is. */
function nowText({ stopped, waitingFor, history }: Release): string {
  return stopped || waitingFor || (history.at(-1)?.reason ?? '');
}

const pathOf = ({ id }: Release) => `/releases/${encodeURIComponent(id)}`;
