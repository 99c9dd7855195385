import { Button, CopyButton, Group, Select, Stack, Text, TextInput } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client.js';
import type { Role } from '../../api/types.js';
import { Dialog } from '../../dialogs/dialog.js';
import { DialogForm, type Run } from '../../dialogs/dialog-form.js';

const ROLES: { value: Role; label: string }[] = [
  { value: 'viewer', label: 'viewer: asks and looks' },
  { value: 'operator', label: 'operator: also promotes versions' },
  { value: 'admin', label: 'admin: also manages keys and policies' },
];

/** Makes a key, and shows its secret this once. */
export function CreateKeyDialog({ onClose }: { readonly onClose: () => void }) {
  const queries = useQueryClient();
  const create = useMutation({
    mutationFn: api.createKey,
    onSuccess: () => queries.invalidateQueries({ queryKey: ['keys'] }),
  });
  const made = create.data;
  return (
    <Dialog
      title={made ? 'Your new key' : 'Create a key'}
      onClose={onClose}
      // A secret that is shown once must not vanish by a click beside it.
      closeOnClickOutside={!made}
    >
      {made ? (
        <Secret secret={made.secret} onClose={onClose} />
      ) : (
        <KeyForm run={create} onCreate={create.mutate} onClose={onClose} />
      )}
    </Dialog>
  );
}

function KeyForm(props: {
  readonly run: Run;
  readonly onCreate: (wish: { role: Role; description: string; tenant?: string }) => void;
  readonly onClose: () => void;
}) {
  const [role, setRole] = useState<Role>('viewer');
  const [description, setDescription] = useState('');
  const [tenant, setTenant] = useState('');
  return (
    <DialogForm
      run={props.run}
      button="Create"
      onSubmit={() => {
        props.onCreate({
          role,
          description: description.trim(),
          ...(tenant.trim() === '' ? {} : { tenant: tenant.trim() }),
        });
      }}
      onClose={props.onClose}
    >
      <TextInput
        label="What it is for"
        placeholder="nightly report"
        maxLength={500}
        value={description}
        onChange={(event) => {
          setDescription(event.currentTarget.value);
        }}
        data-autofocus
      />
      <Select
        label="Role"
        data={ROLES}
        value={role}
        allowDeselect={false}
        onChange={(value) => {
          if (value) setRole(value);
        }}
      />
      <TextInput
        label="Tenant"
        description="Left empty: your own."
        value={tenant}
        onChange={(event) => {
          setTenant(event.currentTarget.value);
        }}
      />
    </DialogForm>
  );
}

function Secret({ secret, onClose }: { readonly secret: string; readonly onClose: () => void }) {
  return (
    <Stack>
      <Text size="sm">Keep it in a safe place now: it is shown this once and cannot be read again.</Text>
      <div className="secret" data-testid="secret">
        {secret}
      </div>
      <Group justify="space-between">
        <CopyButton value={secret}>
          {({ copied, copy }) => (
            <Button
              variant="light"
              leftSection={copied ? <IconCheck size={16} /> : <IconCopy size={16} />}
              onClick={copy}
              data-autofocus
            >
              {copied ? 'Copied' : 'Copy'}
            </Button>
          )}
        </CopyButton>
        <Button onClick={onClose}>I have kept it</Button>
      </Group>
    </Stack>
  );
}
