import { Alert, Button, Group, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { ApiError } from '../api/client.js';

/** What codes mean to people who do not know them; the message says the rest. */
const TITLES: Readonly<Record<string, string>> = {
  UNREACHABLE: 'No answer',
  DEADLINE_EXCEEDED: 'Too slow',
  KEY_INVALID: 'Not signed in',
  PERMISSION_DENIED: 'Not allowed',
  RATE_LIMITED: 'Too many requests',
  EXPERT_OVERLOADED: 'Too many requests',
  NO_SUITABLE_EXPERT: 'No expert fits',
  REVISION_CONFLICT: 'Changed meanwhile',
  RELEASE_CONFLICT: 'Not in this state',
  NOT_LEADER: 'Nobody leads just now',
};

/** What went wrong, in the gateway's own words, with a way to try again. */
export function Fault({ fault, onRetry }: { readonly fault: unknown; readonly onRetry?: () => void }) {
  const code = fault instanceof ApiError ? fault.code : 'UNKNOWN';
  const message = fault instanceof Error ? fault.message : String(fault);
  return (
    <Alert
      color="red"
      variant="light"
      icon={<IconAlertTriangle size={18} />}
      title={TITLES[code] ?? 'That did not work'}
      role="alert"
      data-code={code}
    >
      <Group justify="space-between" align="center" gap="xs">
        <Text size="sm" flex="1 1 200px" style={{ overflowWrap: 'anywhere' }}>
          {message}
        </Text>
        {onRetry && (
          <Button size="xs" variant="light" color="red" onClick={onRetry}>
            Try again
          </Button>
        )}
      </Group>
    </Alert>
  );
}
