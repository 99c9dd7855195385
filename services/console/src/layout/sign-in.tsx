import { Alert, Button, Center, PasswordInput, Stack, Text, Title } from '@mantine/core';
import { useState } from 'react';

/** Asks for an API key. */
export function SignIn(props: {
  readonly reason: string;
  readonly onSignIn: (key: string) => void;
  readonly onCancel?: () => void;
}) {
  const [key, setKey] = useState('');
  return (
    <Center mih="100vh" p="md">
      <form
        className="card"
        style={{ width: 400 }}
        onSubmit={(event) => {
          event.preventDefault();
          if (key.trim() !== '') props.onSignIn(key.trim());
        }}
      >
        <Stack>
          <Stack gap={4} align="center">
            <img src="/console/mark.svg" width={40} height={40} alt="" />
            <Title order={2}>Thalamus</Title>
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
          />
          <Button type="submit" disabled={key.trim() === ''} fullWidth>
            Sign in
          </Button>
          {props.onCancel && (
            <Button variant="subtle" color="gray" onClick={props.onCancel} fullWidth>
              Go on without a key
            </Button>
          )}
          <Text size="xs" className="quiet">
            A mesh started with <code>npm start</code> writes its first key to <code>data/admin.key</code>;{' '}
            <code>npx thalamus keys create</code> makes others.
          </Text>
        </Stack>
      </form>
    </Center>
  );
}
