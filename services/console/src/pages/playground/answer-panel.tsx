import { Badge, Group, Progress, Stack, Text } from '@mantine/core';
import type { Classification } from '../../api/types.js';
import { durationText } from './chat-facts.js';

/** What the chosen expert said, and how long each stage took. */
export function AnswerPanel({ answer }: { readonly answer: Classification }) {
  const stages = ['route', 'infer', 'total'] as const;
  return (
    <Stack gap="sm" aria-live="polite">
      <Group justify="space-between" wrap="nowrap">
        <Text fw={650} size="lg" style={{ overflowWrap: 'anywhere' }} data-testid="answer-label">
          {answer.label}
        </Text>
        <Badge variant="light" tt="none">
          {answer.expert}@{answer.version}
        </Badge>
      </Group>
      {answer.scores.map(({ label, score }, index) => (
        <div key={label}>
          <Group justify="space-between" mb={2} wrap="nowrap">
            <Text size="sm" fw={index === 0 ? 600 : 400} truncate>
              {label}
            </Text>
            <Text size="sm" className="number">
              {(score * 100).toFixed(1)}&nbsp;%
            </Text>
          </Group>
          <Progress
            value={score * 100}
            size="sm"
            color={index === 0 ? 'var(--loss)' : 'var(--whisker)'}
            aria-label={label}
          />
        </div>
      ))}
      <dl className="facts">
        {stages.map((stage) => {
          const milliseconds = answer.timingsMs[stage];
          if (milliseconds === undefined) return null;
          return (
            <div key={stage}>
              <dt>{stage === 'total' ? 'in all' : stage}</dt>
              <dd>{durationText(milliseconds)}</dd>
            </div>
          );
        })}
      </dl>
    </Stack>
  );
}
