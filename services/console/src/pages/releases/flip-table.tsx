import { Button, Group, SegmentedControl, Table, Text, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Flip, Flips, Release } from '../../api/release-types.js';
import { releasesApi } from '../../api/releases.js';
import { Fault } from '../../states/fault.js';
import { Loading } from '../../states/loading.js';
import { ChartCard } from '../router/chart-card.js';
import { flipsLike, type FlipKind } from './release-facts.js';

const TITLE = 'Flipped items';
/** Rows that are drawn at once. */
const PART = 100;

/** The very items that flipped: ids and labels, no text. Nothing where the release was not compared. */
export function FlipTable({ release }: { readonly release: Release }) {
  const { data, error, isLoading, refetch } = useQuery({
    queryKey: ['release-flips', release.id],
    queryFn: () => releasesApi.flips(release.id),
    // What was compared never changes.
    staleTime: Infinity,
    enabled: release.comparison !== null,
  });
  if (release.comparison === null) return null;
  return (
    <ChartCard
      title={TITLE}
      purpose="Items that one version answers rightly and the other wrongly, those first that were right before. Texts are not kept."
    >
      {error && <Fault fault={error} onRetry={() => void refetch()} />}
      {isLoading && <Loading label="Reading what flipped" />}
      {data?.total === 0 && (
        <Text size="sm" className="quiet">
          No item flipped.
        </Text>
      )}
      {data && data.total > 0 && <Items flips={data} />}
    </ChartCard>
  );
}

function Items({ flips }: { readonly flips: Flips }) {
  const [kind, setKind] = useState<FlipKind>('all');
  const [word, setWord] = useState('');
  const [parts, setParts] = useState(1);
  const found = flipsLike(flips.data, kind, word);
  const rows = found.slice(0, parts * PART);
  return (
    <>
      <Group justify="space-between" gap="sm">
        <SegmentedControl
          size="xs"
          aria-label="Which flips"
          data={[
            { value: 'all', label: 'All' },
            { value: 'negative', label: 'Negative' },
            { value: 'positive', label: 'Positive' },
          ]}
          value={kind}
          onChange={(value) => {
            setKind(value as FlipKind);
          }}
        />
        <TextInput
          size="xs"
          aria-label="Filter flipped items"
          placeholder="Id or label"
          leftSection={<IconSearch size={14} />}
          value={word}
          onChange={(event) => {
            setWord(event.currentTarget.value);
          }}
        />
      </Group>
      <Text size="xs" className="quiet" role="status" data-testid="flip-count">
        {found.length.toLocaleString('en')} of {flips.total.toLocaleString('en')} items
        {flips.data.length < flips.total &&
          `, looked for among the first ${flips.data.length.toLocaleString('en')}`}
      </Text>
      {rows.length > 0 && <Rows rows={rows} />}
      {rows.length < found.length && (
        <Button
          size="compact-sm"
          variant="subtle"
          style={{ alignSelf: 'flex-start' }}
          onClick={() => {
            setParts(parts + 1);
          }}
        >
          More
        </Button>
      )}
    </>
  );
}

function Rows({ rows }: { readonly rows: readonly Flip[] }) {
  return (
    <div className="flip-items" tabIndex={0} role="group" aria-label={TITLE}>
      <Table verticalSpacing={5} horizontalSpacing="sm" stickyHeader data-testid="flips">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Item</Table.Th>
            <Table.Th>Flip</Table.Th>
            <Table.Th>Right label</Table.Th>
            <Table.Th>Before</Table.Th>
            <Table.Th>Now</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map(({ id, negative, label, oldPrediction, newPrediction }) => (
            <Table.Tr key={id}>
              <Table.Td className="flip-id">{id}</Table.Td>
              <Table.Td className="nowrap">
                <span className="flip-kind" data-flip={negative ? 'negative' : 'positive'}>
                  <i className="key-dot" aria-hidden />
                  {negative ? 'negative' : 'positive'}
                </span>
              </Table.Td>
              <Table.Td>{label}</Table.Td>
              <Table.Td className={negative ? undefined : 'flip-wrong'}>{oldPrediction}</Table.Td>
              <Table.Td className={negative ? 'flip-wrong' : undefined}>{newPrediction}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}
