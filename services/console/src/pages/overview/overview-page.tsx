import { Badge, Grid, Stack } from '@mantine/core';
import '@mantine/charts/styles.layer.css';
import { useLive, type LiveState } from '../../api/live.js';
import type { LiveSnapshot } from '../../api/types.js';
import { PageHead } from '../../layout/page-head.js';
import { Loading } from '../../states/loading.js';
import { Stale } from '../../states/stale.js';
import { Figure } from './figure.js';
import { answeredText, savedText } from './overview-facts.js';
import { Seconds } from './seconds.js';
import { Wins } from './wins.js';

/** What the mesh is doing right now. */
export function OverviewPage() {
  const { state, history } = useLive();
  const latest = history.at(-1);
  return (
    <Stack gap="lg" maw={1180} mx="auto">
      <PageHead title="Overview" purpose="What the mesh is doing, second by second.">
        <Pulse state={state} />
      </PageHead>
      {state === 'stale' && <Stale since={latest && new Date(latest.at)} />}
      {latest ? (
        <div className={state === 'stale' ? 'old' : undefined}>
          <Board latest={latest} history={history} />
        </div>
      ) : (
        state !== 'stale' && <Loading label="Waiting for the first second" />
      )}
    </Stack>
  );
}

function Pulse({ state }: { readonly state: LiveState }) {
  const colour = { connecting: 'gray', live: 'sage', stale: 'yellow' } as const;
  return (
    <Badge variant="dot" color={colour[state]} tt="none" size="lg" role="status" data-testid="pulse">
      {state}
    </Badge>
  );
}

function Board(props: { readonly latest: LiveSnapshot; readonly history: readonly LiveSnapshot[] }) {
  const { latest, history } = props;
  const { totals } = latest;
  const answered = answeredText(totals);
  const saved = savedText(latest);
  return (
    <Stack gap="md">
      <div className="figures">
        <Figure
          label="Requests"
          value={totals.requests.toLocaleString('en')}
          note={`${latest.requestsPerSecond.toFixed(0)} in the last second`}
        />
        <Figure
          label="Median latency"
          value={latest.latencyMs.p50 === 0 ? '–' : `${latest.latencyMs.p50.toFixed(1)} ms`}
          note={
            latest.latencyMs.p50 === 0
              ? 'no answer in the last 30 s'
              : `95 % within ${latest.latencyMs.p95.toFixed(1)} ms`
          }
        />
        <Figure label="Answered" {...answered} />
        <Figure label="Saved" {...saved} />
      </div>
      <Grid gap="md">
        <Grid.Col span={{ base: 12, md: 7 }}>
          <Seconds history={history} />
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 5 }}>
          <Wins wins={latest.wins} />
        </Grid.Col>
      </Grid>
    </Stack>
  );
}
