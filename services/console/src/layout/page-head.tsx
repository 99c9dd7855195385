import { Group, Text, Title } from '@mantine/core';
import { useEffect, type ReactNode } from 'react';

/** Title of a page, what it is for, and what stands to the right of them. */
export function PageHead(props: {
  readonly title: string;
  readonly purpose: string;
  readonly children?: ReactNode;
}) {
  useEffect(() => {
    document.title = `${props.title} · Thalamus`;
  }, [props.title]);
  return (
    <Group justify="space-between" align="flex-end" gap="sm">
      <div>
        <Title order={1} size="h2">
          {props.title}
        </Title>
        <Text className="quiet">{props.purpose}</Text>
      </div>
      {props.children}
    </Group>
  );
}
