import { Alert, Button, Group, Kbd, Text, Textarea } from '@mantine/core';
import { IconPlayerPlay, IconZoomQuestion } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client.js';
import type { ComposedParent, Composition, Weighing } from '../../api/composition-types.js';
import { Fault } from '../../states/fault.js';
import { ChartCard } from '../router/chart-card.js';
import { colourOf, headOf, shareText } from './composition-facts.js';

/** Type a prompt, see what its router gives to each parent, and what comes of it. */
export function WeighCard({ composition }: { readonly composition: Composition }) {
  const { name, version, parents, report } = composition;
  const [text, setText] = useState('');
  const weigh = useMutation({ mutationFn: api.weigh });
  const canRun = text.trim() !== '' && !weigh.isPending;
  const run = () => {
    if (canRun) weigh.mutate({ name, version, text: text.trim() });
  };
  return (
    <ChartCard
      title="Weights of a prompt"
      purpose="What its router gives to each parent. The text goes to this gateway and a host, and is kept nowhere."
    >
      <Textarea
        label="Prompt"
        placeholder={
          composition.task === 'fill-mask'
            ? 'A text with a word left out, such as: the patient has [MASK] in the chest'
            : 'What would one of its parents be asked?'
        }
        autosize
        minRows={2}
        maxRows={8}
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          weigh.reset();
        }}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
          event.preventDefault();
          run();
        }}
      />
      <Group justify="space-between" wrap="nowrap">
        <Button
          leftSection={<IconPlayerPlay size={16} />}
          disabled={text.trim() === ''}
          loading={weigh.isPending}
          onClick={run}
        >
          Weigh
        </Button>
        <Text size="xs" className="quiet" visibleFrom="sm">
          <Kbd size="xs">Ctrl</Kbd> <Kbd size="xs">Enter</Kbd>
        </Text>
      </Group>
      <div aria-live="polite" className="weighing">
        {weigh.error && <Fault fault={weigh.error} onRetry={run} />}
        {weigh.data && (
          <Answer weighing={weigh.data} parents={parents} abstainBelow={report?.abstainBelow ?? null} />
        )}
      </div>
    </ChartCard>
  );
}

function Answer(props: {
  readonly weighing: Weighing;
  readonly parents: readonly ComposedParent[];
  readonly abstainBelow: number | null;
}) {
  const { weighing, parents, abstainBelow } = props;
  const head = headOf(weighing, parents);
  return (
    <>
      {weighing.abstains === true && (
        <Alert color="yellow" variant="light" icon={<IconZoomQuestion size={18} />} title="It abstains">
          No parent covers this text
          {abstainBelow === null ? '' : `: the largest weight is below ${shareText(abstainBelow)}`}. What
          follows is its best guess.
        </Alert>
      )}
      <div>
        <Group justify="space-between" wrap="nowrap" gap="sm">
          <Text fw={650} size="lg" style={{ overflowWrap: 'anywhere' }} data-testid="weighed-label">
            {weighing.label}
          </Text>
          <Text size="sm" className="number nowrap">
            {shareText(weighing.score)}
          </Text>
        </Group>
        <Text size="xs" className="quiet" data-testid="weighed-head">
          said by the head of {parents[head]?.name ?? 'none of them'}
        </Text>
      </div>
      <ul className="share-rows weight-rows" data-testid="weights" aria-label="Weights of the parents">
        {parents.map(({ name, version }, at) => {
          const weight = weighing.weights[at] ?? 0;
          return (
            <li key={`${name}@${version}`} data-colour={colourOf(at)} data-head={at === head}>
              <span className="task-name">
                <i className="key-dot" aria-hidden />
                <Text size="sm" truncate title={name}>
                  {name}
                </Text>
              </span>
              <div className="share-track" aria-hidden>
                <div className="share-bar" style={{ width: `${100 * weight}%` }} />
              </div>
              <Text size="sm" className="number nowrap">
                {shareText(weight)}
              </Text>
            </li>
          );
        })}
      </ul>
    </>
  );
}
