import { Center, Stack, Text, ThemeIcon } from '@mantine/core';
import type { ReactNode } from 'react';

/** Nothing to show yet, and what would change that. */
export function Empty(props: {
  readonly icon: ReactNode;
  readonly title: string;
  readonly children: ReactNode;
}) {
  return (
    <Center mih={240} p="md">
      <Stack align="center" gap={6} maw={420} ta="center">
        <ThemeIcon variant="light" size={44} radius="xl" aria-hidden>
          {props.icon}
        </ThemeIcon>
        <Text fw={650} size="lg">
          {props.title}
        </Text>
        <Text size="sm" className="quiet">
          {props.children}
        </Text>
      </Stack>
    </Center>
  );
}
