import { Badge, Group, Progress, Stack, Text } from '@mantine/core';
import type { Classification } from '../../api/types.js';

/** What the chosen expert said, and how long each stage took. */
export function AnswerPanel({ answer }: { readonly answer: Classification }) {
  return (
    <Stack gap="sm" aria-live="polite">
      <Group justify="space-between">
        <Text fw={650} size="lg">
          {answer.label}
        </Text>
        <Badge variant="light" tt="none">
          {answer.expert}@{answer.version}
        </Badge>
      </Group>
      {answer.scores.map(({ label, score }, index) => (
        <div key={label}>
          <Group justify="space-between" mb={2}>
            <Text size="sm" fw={index === 0 ? 600 : 400}>
              {label}
            </Text>
            <Text size="sm" className="number">
              {(score * 100).toFixed(1)} %
            </Text>
          </Group>
          <Progress value={score * 100} size="sm" color={index === 0 ? 'clay' : 'gray'} aria-label={label} />
        </div>
      ))}
      <Text size="xs" className="quiet">
        {['route', 'infer', 'total']
          .filter((stage) => answer.timingsMs[stage] !== undefined)
          .map((stage) => `${stage} ${(answer.timingsMs[stage] ?? 0).toFixed(1)} ms`)
          .join(' · ')}
      </Text>
    </Stack>
  );
}
