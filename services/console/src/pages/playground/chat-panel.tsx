import { Badge, Button, Group, Loader, Stack, Text } from '@mantine/core';
import { IconPlayerStop } from '@tabler/icons-react';
import { Fault } from '../../states/fault.js';
import { durationText, usdText } from './chat-facts.js';
import type { ChatAnswer } from './use-chat.js';

/** A chat answer as it comes, who gives it, and what it took. */
export function ChatPanel(props: { readonly answer: ChatAnswer; readonly onStop: () => void }) {
  const { answer } = props;
  const running = answer.phase === 'waiting' || answer.phase === 'streaming';
  return (
    <Stack gap="sm">
      <Group justify="space-between" wrap="nowrap" mih={30}>
        <Group gap="xs">
          <Text fw={650}>Answer</Text>
          {answer.expert !== '' && (
            <Badge variant="light" tt="none" title={answer.decision}>
              {answer.expert}@{answer.version}
            </Badge>
          )}
        </Group>
        {running && (
          <Button
            size="xs"
            variant="default"
            leftSection={<IconPlayerStop size={14} />}
            onClick={props.onStop}
          >
            Stop
          </Button>
        )}
      </Group>
      {answer.text !== '' && (
        <div className="answer-text" data-running={running} data-testid="chat-answer" aria-busy={running}>
          {answer.text.trimStart()}
        </div>
      )}
      {answer.fault && <Fault fault={answer.fault} />}
      <Text size="xs" className="quiet" role="status" aria-live="polite">
        {running && answer.text === '' && <Loader size={12} mr={8} aria-hidden />}
        {statusText(answer)}
      </Text>
      {!running && <Facts answer={answer} />}
    </Stack>
  );
}

function statusText({ phase, expert, text }: ChatAnswer): string {
  switch (phase) {
    case 'waiting':
      return 'Waiting for the first word…';
    case 'streaming':
      return text === '' ? `Waiting for the first word of ${expert}…` : `${expert} is answering…`;
    case 'done':
      return 'The answer is complete.';
    case 'stopped':
      return 'Stopped. What had come stays here.';
    case 'failed':
      return text === '' ? '' : 'What had come before the failure stays here.';
  }
}

function Facts({ answer }: { readonly answer: ChatAnswer }) {
  const { usage, costUsd, firstTokenMs, totalMs } = answer;
  const facts = [
    firstTokenMs === undefined ? undefined : (['first word', durationText(firstTokenMs)] as const),
    totalMs === undefined ? undefined : (['in all', durationText(totalMs)] as const),
    usage && (['tokens', `${usage.promptTokens} in, ${usage.completionTokens} out`] as const),
    costUsd === undefined || costUsd === 0 ? undefined : (['cost', usdText(costUsd)] as const),
  ].filter((fact) => fact !== undefined);
  if (facts.length === 0) return null;
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
