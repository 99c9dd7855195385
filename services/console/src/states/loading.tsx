import { Center, Loader, Stack, Text } from '@mantine/core';

/** While an answer is awaited. */
export function Loading({ label }: { readonly label: string }) {
  return (
    <Center mih={240} role="status" aria-live="polite">
      <Stack align="center" gap="xs">
        <Loader size="sm" aria-hidden />
        <Text size="sm" className="quiet">
          {label}
        </Text>
      </Stack>
    </Center>
  );
}
