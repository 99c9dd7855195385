import { Alert, Button, Group, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { ApiError } from '../api/client.js';

/** What went wrong, in the gateway's own words, with a way to try again. */
export function Fault({ fault, onRetry }: { readonly fault: unknown; readonly onRetry?: () => void }) {
  const code = fault instanceof ApiError ? fault.code : 'ERROR';
  const message = fault instanceof Error ? fault.message : String(fault);
  return (
    <Alert color="red" variant="light" icon={<IconAlertTriangle size={18} />} title={code} role="alert">
      <Group justify="space-between" align="center" wrap="nowrap">
        <Text size="sm">{message}</Text>
        {onRetry && (
          <Button size="xs" variant="light" color="red" onClick={onRetry}>
            Try again
          </Button>
        )}
      </Group>
    </Alert>
  );
}
