import { Button, Chip, Group, Kbd, SegmentedControl, Stack, Text, Textarea } from '@mantine/core';
import { IconPlayerPlay } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import type { Task } from '../../api/types.js';
import { SAMPLES } from './samples.js';

const TASKS: { value: Task; label: string }[] = [
  { value: 'text-classification', label: 'Classify' },
  { value: 'text-generation', label: 'Chat' },
];
const ASKS: Readonly<Record<Task, string>> = {
  'text-classification': 'What should be classified?',
  'text-generation': 'What do you want to know?',
};

/** Where a question is put: task, prompt or sample, weights, and the button that runs it. */
export function PromptCard(props: {
  readonly task: Task;
  readonly prompt: string;
  readonly runLabel: string;
  readonly canRun: boolean;
  readonly isRunning: boolean;
  readonly onTask: (task: Task) => void;
  readonly onPrompt: (prompt: string) => void;
  readonly onRun: () => void;
  readonly children: ReactNode;
}) {
  return (
    <Stack className="card" gap="md">
      <SegmentedControl
        aria-label="Task"
        fullWidth
        data={TASKS}
        value={props.task}
        onChange={(task) => {
          props.onTask(task as Task);
        }}
      />
      <Textarea
        label="Prompt"
        placeholder={ASKS[props.task]}
        autosize
        minRows={3}
        maxRows={10}
        value={props.prompt}
        onChange={(event) => {
          props.onPrompt(event.currentTarget.value);
        }}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
          event.preventDefault();
          if (props.canRun) props.onRun();
        }}
      />
      <div>
        <Text size="xs" className="quiet" mb={6} id="samples">
          {props.task === 'text-generation' ? 'Or a recorded question:' : 'Or a sample:'}
        </Text>
        <Group gap={6} role="group" aria-labelledby="samples">
          {SAMPLES[props.task].map(({ title, prompt }) => (
            <Chip
              key={title}
              size="xs"
              checked={props.prompt === prompt}
              wrapperProps={{ title: prompt, 'data-sample': title }}
              onChange={() => {
                props.onPrompt(prompt);
              }}
            >
              {title}
            </Chip>
          ))}
        </Group>
      </div>
      {props.children}
      <Group justify="space-between" wrap="nowrap">
        <Button
          leftSection={<IconPlayerPlay size={16} />}
          disabled={!props.canRun}
          loading={props.isRunning}
          onClick={props.onRun}
        >
          {props.runLabel}
        </Button>
        <Text size="xs" className="quiet" visibleFrom="sm">
          <Kbd size="xs">Ctrl</Kbd> <Kbd size="xs">Enter</Kbd>
        </Text>
      </Group>
    </Stack>
  );
}
