import { Center, Stack, Text, ThemeIcon, Title } from '@mantine/core';
import type { ReactNode } from 'react';

/** Nothing to show yet, and what would change that. */
export function Empty(props: {
  readonly icon: ReactNode;
  readonly title: string;
  readonly children: ReactNode;
}) {
  return (
    <Center mih={260}>
      <Stack align="center" gap={6} maw={420} ta="center">
        <ThemeIcon variant="light" size={44} radius="xl">
          {props.icon}
        </ThemeIcon>
        <Title order={4}>{props.title}</Title>
        <Text size="sm" className="quiet">
          {props.children}
        </Text>
      </Stack>
    </Center>
  );
}
