import { Button, Group, Modal, Stack, Text, Textarea } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client.js';
import type { ExpertRow } from '../../api/types.js';
import { Fault } from '../../states/fault.js';

/** Asks for the reason of a promotion, and once more whether it is meant: all traffic goes to the version at once. */
export function PromoteDialog(props: {
  readonly expert: ExpertRow;
  readonly version: string;
  readonly onClose: () => void;
}) {
  const { expert, version, onClose } = props;
  const queries = useQueryClient();
  const [reason, setReason] = useState('');
  const promote = useMutation({
    mutationFn: () =>
      api.promote({ expert: expert.name, version, reason: reason.trim(), expectedRevision: expert.revision }),
    onSettled: () => queries.invalidateQueries({ queryKey: ['experts'] }),
    onSuccess: onClose,
  });
  return (
    <Modal
      opened
      onClose={onClose}
      title={`Promote ${expert.name}@${version}`}
      centered
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (reason.trim() !== '' && !promote.isPending) promote.mutate();
        }}
      >
        <Stack>
          <Text size="sm">
            {expert.stable === ''
              ? `Version ${version} becomes stable.`
              : `Version ${version} becomes stable in place of version ${expert.stable}.`}{' '}
            All traffic of this expert goes to it at once.
          </Text>
          <Textarea
            label="Reason"
            description="It is kept in the audit with your key."
            required
            autosize
            minRows={2}
            maxLength={500}
            value={reason}
            onChange={(event) => {
              setReason(event.currentTarget.value);
            }}
            data-autofocus
          />
          {promote.error && <Fault fault={promote.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" disabled={reason.trim() === ''} loading={promote.isPending}>
              Make it stable
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
