import { Alert } from '@mantine/core';
import { IconPlugConnectedX } from '@tabler/icons-react';

/** What is shown may be old: since when, and that it is being tried again. */
export function Stale({ since }: { readonly since: Date | undefined }) {
  return (
    <Alert
      color="yellow"
      variant="light"
      icon={<IconPlugConnectedX size={18} />}
      title="Not live"
      role="status"
      data-testid="stale"
    >
      The gateway does not answer.{' '}
      {since ? `What you see is of ${since.toLocaleTimeString()}. ` : 'There is nothing to show yet. '}
      Trying again…
    </Alert>
  );
}
