import { Alert, Button, Code, Stack, PasswordInput, Text, Title } from '@mantine/core';
import { useEffect, useState } from 'react';

/** Asks for an API key. */
export function SignIn(props: {
  readonly reason: string;
  readonly onSignIn: (key: string) => void;
  readonly onCancel?: () => void;
}) {
  const [key, setKey] = useState('');
  const { onCancel } = props;
  useEffect(() => {
    document.title = 'Sign in · Thalamus';
  }, []);
  return (
    <main className="alone">
      <form
        className="card"
        style={{ width: 400, maxWidth: '100%' }}
        onSubmit={(event) => {
          event.preventDefault();
          if (key.trim() !== '') props.onSignIn(key.trim());
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape') onCancel?.();
        }}
      >
        <Stack>
          <Stack gap={4} align="center">
            <img src="/console/mark.svg" width={40} height={40} alt="" />
            <Title order={1} size="h2">
              Thalamus
            </Title>
            <Text size="sm" className="quiet">
              Sign in with an API key of this mesh.
            </Text>
          </Stack>
          {props.reason !== '' && (
            <Alert color="red" variant="light" role="alert">
              {props.reason}
            </Alert>
          )}
          <PasswordInput
            label="API key"
            description="It stays in this tab and goes nowhere but to this gateway."
            placeholder="thk_…"
            value={key}
            onChange={(event) => {
              setKey(event.currentTarget.value);
            }}
            autoFocus
            autoComplete="off"
            visibilityToggleButtonProps={{ 'aria-label': 'Show the key', tabIndex: 0 }}
          />
          <Button type="submit" disabled={key.trim() === ''} fullWidth>
            Sign in
          </Button>
          {onCancel && (
            <Button variant="subtle" color="gray" onClick={onCancel} fullWidth>
              Go on without a key
            </Button>
          )}
          <Text size="xs" className="quiet">
            A mesh started with <Code>npm start</Code> writes its first key to <Code>data/admin.key</Code>;{' '}
            <Code>npx thalamus keys create</Code> makes others.
          </Text>
        </Stack>
      </form>
    </main>
  );
}
