import '@mantine/charts/styles.layer.css';
import { LineChart } from '@mantine/charts';
import { Skeleton, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { api } from '../../api/client.js';
import { Fault } from '../../states/fault.js';
import { curveRows } from './training-facts.js';

const HEIGHT = 190;

/** Losses of a version while it was trained; nothing where its bundle holds no log. */
export default function TrainingCurve(props: { readonly expert: string; readonly version: string }) {
  const { expert, version } = props;
  const { data, error, refetch } = useQuery({
    queryKey: ['training', expert, version],
    queryFn: () => api.training(expert, version),
    // A version never changes.
    staleTime: Infinity,
  });
  if (error) return <Fault fault={error} onRetry={() => void refetch()} />;
  if (!data) return <Skeleton h={HEIGHT} mt="sm" aria-label="Loading the training" />;
  const rows = curveRows(data);
  const [last] = data.validation.slice(-1);
  if (rows.length === 0) return null;
  return (
    <figure style={{ margin: 0 }}>
      <Text component="figcaption" size="sm" fw={600} mt="sm">
        Loss while it was trained, nats
        {last && (
          <Text span size="sm" fw={400} className="quiet">
            {' '}
            · validation {last.loss.toFixed(3)} after {last.step.toLocaleString('en')} steps
          </Text>
        )}
      </Text>
      <LineChart
        h={HEIGHT}
        data={rows}
        dataKey="step"
        withDots={false}
        withLegend
        connectNulls
        curveType="linear"
        gridAxis="x"
        strokeDasharray="0"
        xAxisProps={{ tickLine: false, minTickGap: 48, interval: 'preserveStartEnd' }}
        yAxisProps={{
          width: 56,
          domain: ['auto', 'auto'],
          tickFormatter: (value: number) => value.toFixed(2),
        }}
        legendProps={{ verticalAlign: 'top', height: 30 }}
        lineProps={{ isAnimationActive: false }}
        valueFormatter={(value) => value.toFixed(3)}
        series={[
          { name: 'training', color: 'clay.3' },
          { name: 'validation', color: 'sage.6' },
        ]}
      />
    </figure>
  );
}
