import {
  Alert,
  Button,
  Chip,
  CopyButton,
  Grid,
  Group,
  Kbd,
  Loader,
  Stack,
  Text,
  Textarea,
  Title,
} from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconArrowsShuffle, IconPlayerPlay } from '@tabler/icons-react';
import { keepPreviousData, useMutation, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { api } from '../../api/client.js';
import { Empty } from '../../states/empty.js';
import { Fault } from '../../states/fault.js';
import { AnswerPanel } from './answer-panel.js';
import { costNames, flagText, weigh } from './decision-math.js';
import { LambdaSliders } from './lambda-sliders.js';
import { LossChart } from './loss-chart.js';
import { SAMPLES } from './samples.js';

const TASK = 'text-classification';
const TYPING_MS = 250;

/** Type a prompt, see every expert's predicted loss, move the weights, run the winner. */
export function PlaygroundPage() {
  const [prompt, setPrompt] = useState('');
  const [settled] = useDebouncedValue(prompt.trim(), TYPING_MS);
  const [weights, setWeights] = useState<Readonly<Record<string, number>>>({});
  const decision = useQuery({
    queryKey: ['route', TASK, settled],
    queryFn: ({ signal }) => api.route(settled, TASK, signal),
    enabled: settled !== '',
    placeholderData: keepPreviousData,
  });
  const ranked = useMemo(() => weigh(decision.data?.ranked ?? [], weights), [decision.data, weights]);
  const best = ranked[0]?.expert;
  const run = useMutation({ mutationFn: () => api.classify(settled, best ?? 'auto') });
  const canRun = settled !== '' && best !== undefined && !run.isPending;
  const choose = (text: string) => {
    setPrompt(text);
    run.reset();
  };
  return (
    <Stack gap="lg" maw={1180} mx="auto">
      <div>
        <Title order={2}>Playground</Title>
        <Text className="quiet">
          Type a prompt and watch which expert the router would give it to, and why.
        </Text>
      </div>
      <Grid gap="lg">
        <Grid.Col span={{ base: 12, md: 5 }}>
          <Stack className="card">
            <Textarea
              label="Prompt"
              placeholder="What should be classified?"
              autosize
              minRows={3}
              maxRows={10}
              value={prompt}
              onChange={(event) => {
                choose(event.currentTarget.value);
              }}
              onKeyDown={(event) => {
                if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && canRun) run.mutate();
              }}
            />
            <Group gap={6} aria-label="Samples">
              {SAMPLES.map((sample) => (
                <Chip
                  key={sample}
                  size="xs"
                  checked={prompt === sample}
                  onChange={() => {
                    choose(sample);
                  }}
                >
                  {sample.length > 34 ? `${sample.slice(0, 33)}…` : sample}
                </Chip>
              ))}
            </Group>
            <LambdaSliders
              costs={costNames(decision.data?.ranked ?? [])}
              weights={weights}
              onChange={setWeights}
            />
            <Group justify="space-between">
              <Button
                leftSection={<IconPlayerPlay size={16} />}
                disabled={!canRun}
                loading={run.isPending}
                onClick={() => {
                  run.mutate();
                }}
              >
                {best === undefined ? 'Run' : `Run ${best}`}
              </Button>
              <Text size="xs" className="quiet">
                <Kbd size="xs">Ctrl</Kbd> <Kbd size="xs">Enter</Kbd>
              </Text>
            </Group>
          </Stack>
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 7 }}>
          <Stack>
            <div className="card">
              {settled === '' && (
                <Empty icon={<IconArrowsShuffle size={22} />} title="No prompt yet">
                  Type one, or take a sample. Each expert gets a bar: the shorter, the better it is expected
                  to do.
                </Empty>
              )}
              {settled !== '' && decision.error && (
                <Fault fault={decision.error} onRetry={() => void decision.refetch()} />
              )}
              {settled !== '' && !decision.error && decision.data && (
                <Stack gap="sm" style={{ opacity: decision.isPlaceholderData ? 0.55 : 1 }}>
                  <Group justify="space-between" wrap="nowrap" align="flex-start">
                    <Text size="sm">
                      {best === undefined ? (
                        decision.data.reason
                      ) : (
                        <Why best={best} second={ranked[1]} first={ranked[0]} />
                      )}
                    </Text>
                    {decision.isFetching && <Loader size="xs" />}
                  </Group>
                  {decision.data.abstained && (
                    <Alert color="yellow" variant="light" title="The router abstains">
                      {decision.data.reason}
                    </Alert>
                  )}
                  <LossChart experts={ranked} lossUnit={decision.data.lossUnit} />
                  <Footnote
                    rejected={decision.data.rejected.map(
                      ({ filter, count }) => `${count} kept out by ${filter}`,
                    )}
                    flags={flagText(weights)}
                  />
                </Stack>
              )}
              {settled !== '' && decision.isLoading && <Loader size="sm" aria-label="Routing" />}
            </div>
            {(run.data ?? run.error) && (
              <div className="card">
                {run.error ? <Fault fault={run.error} /> : run.data && <AnswerPanel answer={run.data} />}
              </div>
            )}
          </Stack>
        </Grid.Col>
      </Grid>
    </Stack>
  );
}

function Why(props: {
  readonly best: string;
  readonly first?: { total: number } | undefined;
  readonly second?: { total: number; expert: string } | undefined;
}) {
  return (
    <>
      <b>{props.best}</b> would answer
      {props.second &&
        props.first &&
        `, ${(props.second.total - props.first.total).toFixed(2)} ahead of ${props.second.expert}`}
      .
    </>
  );
}

function Footnote(props: { readonly rejected: readonly string[]; readonly flags: string }) {
  return (
    <Group justify="space-between" px={8}>
      <Text size="xs" className="quiet">
        {props.rejected.join(' · ')}
      </Text>
      {props.flags !== '' && (
        <CopyButton value={`auto:${props.flags}`}>
          {({ copied, copy }) => (
            <Button size="compact-xs" variant="subtle" onClick={copy}>
              {copied ? 'Copied' : `Copy as model "auto:${props.flags}"`}
            </Button>
          )}
        </CopyButton>
      )}
    </Group>
  );
}
