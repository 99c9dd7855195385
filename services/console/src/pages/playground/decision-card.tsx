import { Alert, Button, CopyButton, Group, Loader, Stack, Text } from '@mantine/core';
import { IconArrowsShuffle } from '@tabler/icons-react';
import type { Decision } from '../../api/types.js';
import { Empty } from '../../states/empty.js';
import { Fault } from '../../states/fault.js';
import { costKinds, type WeighedExpert } from './decision-math.js';
import { LossChart } from './loss-chart.js';
import { ParetoChart } from './pareto-chart.js';

/** Who would answer and why: a bar an expert, and the plane of cost and loss where costs differ. */
export function DecisionCard(props: {
  readonly hasPrompt: boolean;
  readonly decision: Decision | undefined;
  readonly ranked: readonly WeighedExpert[];
  readonly fault: unknown;
  readonly isFetching: boolean;
  /** What is shown belongs to the prompt before. */
  readonly isOld: boolean;
  readonly model: string;
  readonly onRetry: () => void;
}) {
  const { decision, ranked } = props;
  if (!props.hasPrompt)
    return (
      <Empty icon={<IconArrowsShuffle size={22} />} title="No prompt yet">
        Type one, or take a sample. Each expert gets a bar: the shorter, the better it is expected to do.
      </Empty>
    );
  if (props.fault) return <Fault fault={props.fault} onRetry={props.onRetry} />;
  if (!decision)
    return (
      <Group gap="xs" mih={120} justify="center" role="status">
        <Loader size="xs" />
        <Text size="sm" className="quiet">
          Asking the router
        </Text>
      </Group>
    );
  const costsDiffer = costKinds(ranked).some(({ differs }) => differs);
  return (
    <Stack gap="md" style={{ opacity: props.isOld ? 0.6 : 1 }} aria-busy={props.isFetching}>
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <Text size="sm" role="status" aria-live="polite" data-testid="why">
          <Why decision={decision} ranked={ranked} />
        </Text>
        {props.isFetching && <Loader size="xs" aria-hidden />}
      </Group>
      {decision.abstained && (
        <Alert color="yellow" variant="light" title="The router abstains">
          {decision.reason}
        </Alert>
      )}
      {ranked.length > 0 && <LossChart experts={ranked} lossUnit={decision.lossUnit} />}
      {costsDiffer && ranked.length > 1 && <ParetoChart experts={ranked} />}
      <Footnote decision={decision} model={props.model} />
    </Stack>
  );
}

function Why({
  decision,
  ranked,
}: {
  readonly decision: Decision;
  readonly ranked: readonly WeighedExpert[];
}) {
  const [first, second] = ranked;
  if (!first) return decision.reason;
  if (decision.abstained)
    return (
      <>
        Nobody would be asked; <b>{first.expert}</b> comes nearest.
      </>
    );
  return (
    <>
      <b>{first.expert}</b> would answer
      {second && `, ${(second.total - first.total).toFixed(2)} ahead of ${second.expert}`}.
    </>
  );
}

function Footnote({ decision, model }: { readonly decision: Decision; readonly model: string }) {
  const notes = [
    `${decision.routerModel}@${decision.routerModelVersion}`,
    ...(decision.truncated ? ['only the beginning of the prompt counts'] : []),
    ...decision.rejected.map(({ filter, count }) => `${count} kept out by ${filter}`),
  ];
  return (
    <Group justify="space-between" gap="xs" px={8}>
      <Text size="xs" className="quiet">
        {notes.join(' · ')}
      </Text>
      <CopyButton value={model}>
        {({ copied, copy }) => (
          <Button size="compact-xs" variant="subtle" onClick={copy} className="copy-model">
            {copied ? 'Copied' : `Copy model "${model}"`}
          </Button>
        )}
      </CopyButton>
    </Group>
  );
}
