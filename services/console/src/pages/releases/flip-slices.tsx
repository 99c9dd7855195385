import { Button, Text } from '@mantine/core';
import { IconScale } from '@tabler/icons-react';
import { useState } from 'react';
import type { Comparison, Rate, SliceFigures } from '../../api/release-types.js';
import { Empty } from '../../states/empty.js';
import { ChartCard, PlainTable } from '../router/chart-card.js';
import { percentText, placeOf, rateText, shareTicks, slicesToShow } from './release-facts.js';

const TITLE = 'Flips by slice';
/** Slices that are drawn at first; the table has all. */
const FEW = 8;

/** Negative and positive flips with their intervals, against the budget. */
export function FlipSlices({ comparison }: { readonly comparison: Comparison | null }) {
  const [isWhole, setWhole] = useState(false);
  if (!comparison)
    return (
      <ChartCard title={TITLE} purpose="What the new version breaks and mends, item by item.">
        <Empty icon={<IconScale size={22} />} title="Not compared offline">
          A release that is started with prediction files of both versions shows here what flipped.
        </Empty>
      </ChartCard>
    );
  const rows = slicesToShow(comparison.overall, comparison.slices);
  const shown = isWhole ? rows : rows.slice(0, FEW);
  return (
    <ChartCard
      title={TITLE}
      purpose="Dots with 95 % intervals; below, small shares have more room than large ones. Worst slices first."
      table={<SliceTable rows={rows} />}
    >
      <Text size="sm" data-testid="verdict">
        <b data-verdict={comparison.verdict}>{verdictText(comparison)}</b> {comparison.reason}
      </Text>
      <Picture rows={shown} budget={comparison.negativeFlipBudget} />
      {rows.length > FEW && (
        <Button
          size="compact-xs"
          variant="subtle"
          style={{ alignSelf: 'flex-start' }}
          onClick={() => {
            setWhole(!isWhole);
          }}
        >
          {isWhole ? `The worst ${FEW - 1} alone` : `All ${rows.length - 1} slices`}
        </Button>
      )}
    </ChartCard>
  );
}

function verdictText({ verdict }: Comparison): string {
  return verdict === 'unspecified' ? 'No verdict.' : `${verdict.charAt(0).toUpperCase()}${verdict.slice(1)}.`;
}

function Picture({ rows, budget }: { readonly rows: readonly SliceFigures[]; readonly budget: number }) {
  const ends = rows.flatMap(({ negativeFlips, positiveFlips }) => [negativeFlips.high, positiveFlips.high]);
  const longest = Math.max(2 * budget, ...ends);
  const left = (share: number) => `${100 * placeOf(share, longest)}%`;
  return (
    <div className="flip-picture" data-testid="flip-slices">
      <ul>
        {rows.map((row) => (
          <li key={row.slice} data-all={row.slice === ''} data-over={row.negativeFlips.low > budget}>
            <div className="flip-name">
              <Text size="sm" truncate title={row.slice}>
                {row.slice === '' ? 'all items' : row.slice}
              </Text>
              <Text size="xs" className="quiet nowrap">
                {row.n.toLocaleString('en')}
              </Text>
            </div>
            <div className="flip-track" aria-hidden>
              <i className="flip-budget" style={{ left: left(budget) }} />
              <Interval kind="negative" rate={row.negativeFlips} left={left} />
              <Interval kind="positive" rate={row.positiveFlips} left={left} />
            </div>
            <Text size="sm" className="number nowrap">
              {percentText(row.negativeFlips.value)}
              <span className="unseen"> negative flips, {percentText(row.positiveFlips.value)} positive</span>
            </Text>
          </li>
        ))}
      </ul>
      <div className="flip-axis" aria-hidden>
        <div>
          {shareTicks(longest).map((tick) => (
            <span key={tick} style={{ left: left(tick) }}>
              {Number((100 * tick).toPrecision(2))}
            </span>
          ))}
        </div>
        <span>%</span>
      </div>
      <div className="chart-key">
        <span>
          <i className="key-dot" data-flip="negative" aria-hidden /> negative flips
        </span>
        <span>
          <i className="key-dot" data-flip="positive" aria-hidden /> positive flips
        </span>
        <span>
          <i className="key-budget" aria-hidden /> budget of negative flips, {percentText(budget)}
        </span>
      </div>
    </div>
  );
}

function Interval(props: {
  readonly kind: 'negative' | 'positive';
  readonly rate: Rate;
  readonly left: (share: number) => string;
}) {
  const { kind, rate, left } = props;
  return (
    <div className="flip-interval" data-flip={kind}>
      <i style={{ left: left(rate.low), right: `calc(100% - ${left(rate.high)})` }} />
      <b style={{ left: left(rate.value) }} />
    </div>
  );
}

function SliceTable({ rows }: { readonly rows: readonly SliceFigures[] }) {
  return (
    <PlainTable
      head={['slice', 'items', 'negative flips', 'positive flips', 'right before', 'right now', 'p']}
      rows={rows.map((row) => [
        row.slice === '' ? 'all items' : row.slice,
        row.n.toLocaleString('en'),
        rateText(row.negativeFlips),
        rateText(row.positiveFlips),
        percentText(row.oldAccuracy.value),
        percentText(row.newAccuracy.value),
        row.mcnemarP.toPrecision(2),
      ])}
    />
  );
}
