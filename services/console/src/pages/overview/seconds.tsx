import { AreaChart, LineChart } from '@mantine/charts';
import { Center, Text } from '@mantine/core';
import type { LiveSnapshot } from '../../api/types.js';
import { chartSeconds } from './overview-facts.js';

const HEIGHT = 170;
const AXIS = { tickLine: false, minTickGap: 56, interval: 'preserveStartEnd' } as const;

/** Traffic and latency of the last two minutes. What failed is not stacked: its line on top of the rest would read as if all had. */
export function Seconds({ history }: { readonly history: readonly LiveSnapshot[] }) {
  const seconds = chartSeconds(history);
  const hasAnswered = seconds.some(({ p50 }) => p50 !== null);
  const hasFailed = seconds.some(({ failed }) => failed > 0);
  const shared = {
    h: HEIGHT,
    data: seconds,
    dataKey: 'at',
    withDots: false,
    withLegend: true,
    curveType: 'linear',
    xAxisProps: AXIS,
    gridAxis: 'x',
    strokeDasharray: '0',
    legendProps: { verticalAlign: 'top', height: 30 },
    // A picture that moves each second has no use for its own animation.
    areaProps: { isAnimationActive: false },
  } as const;
  return (
    <section className="card" aria-label="The last two minutes">
      <Text fw={600} size="sm">
        Requests per second
      </Text>
      <AreaChart
        {...shared}
        yAxisProps={{ allowDecimals: false, width: 40 }}
        series={[
          ...(hasFailed ? [{ name: 'failed', color: 'red.6' }] : []),
          { name: 'answered', color: 'sage.5' },
        ]}
      />
      <Text fw={600} size="sm" mt="md">
        Latency of the last 30 seconds, ms
      </Text>
      {hasAnswered ? (
        <LineChart
          h={HEIGHT}
          data={seconds}
          dataKey="at"
          withDots={false}
          withLegend
          connectNulls={false}
          curveType="linear"
          xAxisProps={AXIS}
          yAxisProps={{ width: 40 }}
          gridAxis="x"
          strokeDasharray="0"
          legendProps={{ verticalAlign: 'top', height: 30 }}
          lineProps={{ isAnimationActive: false }}
          series={[
            { name: 'p50', color: 'clay.5', label: 'median' },
            { name: 'p95', color: 'clay.3', label: '95 % within' },
          ]}
        />
      ) : (
        <Center h={HEIGHT}>
          <Text size="sm" className="quiet">
            Nothing was answered in the last two minutes.
          </Text>
        </Center>
      )}
    </section>
  );
}
