import { Alert, Badge, Grid, Group, Progress, Stack, Text, Title } from '@mantine/core';
import { AreaChart, LineChart } from '@mantine/charts';
import '@mantine/charts/styles.layer.css';
import { IconPlugConnectedX, IconWaveSine } from '@tabler/icons-react';
import { useLive, type LiveState } from '../../api/live.js';
import type { LiveSnapshot } from '../../api/types.js';
import { Empty } from '../../states/empty.js';
import { Loading } from '../../states/loading.js';
import { Figure } from './figure.js';

/** What the mesh is doing right now. */
export function OverviewPage() {
  const { state, history } = useLive();
  const latest = history.at(-1);
  return (
    <Stack gap="lg" maw={1180} mx="auto">
      <Group justify="space-between">
        <div>
          <Title order={2}>Overview</Title>
          <Text className="quiet">The last two minutes, second by second.</Text>
        </div>
        <Pulse state={state} />
      </Group>
      {state === 'stale' && (
        <Alert color="yellow" variant="light" icon={<IconPlugConnectedX size={18} />} title="Not live">
          The gateway does not answer; what you see may be old. Trying again…
        </Alert>
      )}
      {latest ? (
        <Board latest={latest} history={history} />
      ) : (
        state !== 'stale' && <Loading label="Waiting for the first second" />
      )}
    </Stack>
  );
}

function Pulse({ state }: { readonly state: LiveState }) {
  const colour = { connecting: 'gray', live: 'sage', stale: 'yellow' } as const;
  return (
    <Badge variant="dot" color={colour[state]} tt="none" size="lg">
      {state}
    </Badge>
  );
}

function Board({
  latest,
  history,
}: {
  readonly latest: LiveSnapshot;
  readonly history: readonly LiveSnapshot[];
}) {
  const seconds = history.map((item) => ({
    at: new Date(item.at).toLocaleTimeString(),
    answered: item.requestsPerSecond - item.errorsPerSecond,
    failed: item.errorsPerSecond,
    p50: item.latencyMs.p50,
    p95: item.latencyMs.p95,
  }));
  const { totals } = latest;
  const saved = latest.dearestUsd - latest.costUsd;
  return (
    <Grid gap="lg">
      <Grid.Col span={{ base: 6, md: 3 }}>
        <Figure
          label="Requests"
          value={totals.requests.toLocaleString()}
          note={`${latest.requestsPerSecond.toFixed(0)} in the last second`}
        />
      </Grid.Col>
      <Grid.Col span={{ base: 6, md: 3 }}>
        <Figure
          label="Median latency"
          value={`${latest.latencyMs.p50.toFixed(1)} ms`}
          note={`p95 ${latest.latencyMs.p95.toFixed(1)} ms`}
        />
      </Grid.Col>
      <Grid.Col span={{ base: 6, md: 3 }}>
        <Figure
          label="Answered"
          value={
            totals.requests === 0 ? '–' : `${(100 * (1 - totals.errors / totals.requests)).toFixed(1)} %`
          }
          note={`${totals.errors} failed, ${totals.abstained} abstained`}
        />
      </Grid.Col>
      <Grid.Col span={{ base: 6, md: 3 }}>
        <Figure
          label="Saved"
          value={latest.dearestUsd === 0 ? '–' : `$${saved.toFixed(4)}`}
          note={latest.dearestUsd === 0 ? 'no priced expert was asked' : 'against always asking the dearest'}
        />
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 7 }}>
        <div className="card">
          <Text fw={600} size="sm" mb="sm">
            Requests per second
          </Text>
          <AreaChart
            h={180}
            data={seconds}
            dataKey="at"
            type="stacked"
            withDots={false}
            withLegend
            curveType="linear"
            series={[
              { name: 'answered', color: 'sage.5' },
              { name: 'failed', color: 'red.6' },
            ]}
          />
          <Text fw={600} size="sm" mt="lg" mb="sm">
            Latency, ms
          </Text>
          <LineChart
            h={180}
            data={seconds}
            dataKey="at"
            withDots={false}
            withLegend
            curveType="linear"
            series={[
              { name: 'p50', color: 'clay.5' },
              { name: 'p95', color: 'clay.3' },
            ]}
          />
        </div>
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 5 }}>
        <Wins latest={latest} />
      </Grid.Col>
    </Grid>
  );
}

function Wins({ latest }: { readonly latest: LiveSnapshot }) {
  const most = Math.max(1, ...latest.wins.map(({ count }) => count));
  return (
    <div className="card" style={{ height: '100%' }}>
      <Text fw={600} size="sm" mb="sm">
        Who answered
      </Text>
      {latest.wins.length === 0 ? (
        <Empty icon={<IconWaveSine size={22} />} title="No request yet">
          Ask something in the Playground, or with <code>npx thalamus ask</code>.
        </Empty>
      ) : (
        <Stack gap="sm">
          {latest.wins.map(({ expert, count }) => (
            <div key={expert}>
              <Group justify="space-between" mb={2}>
                <Text size="sm">{expert}</Text>
                <Text size="sm" className="number">
                  {count.toLocaleString()}
                </Text>
              </Group>
              <Progress value={(count / most) * 100} size="sm" aria-label={`${expert}: ${count}`} />
            </div>
          ))}
        </Stack>
      )}
    </div>
  );
}
