import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { api } from '../../api/client.js';
import type { KeyRow } from '../../api/types.js';
import { Fault } from '../../states/fault.js';

/** Asks once more before a key is revoked: that cannot be taken back. */
export function RevokeKeyDialog({ row, onClose }: { readonly row: KeyRow; readonly onClose: () => void }) {
  const queries = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => api.revokeKey(row.id),
    onSettled: () => queries.invalidateQueries({ queryKey: ['keys'] }),
    onSuccess: onClose,
  });
  return (
    <Modal
      opened
      onClose={onClose}
      title="Revoke this key?"
      centered
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Stack>
        <Text size="sm">
          <b>{row.id}</b>
          {row.description === '' ? '' : `, ${row.description},`} stops working at once, wherever it is used.
          This cannot be taken back.
        </Text>
        {revoke.error && <Fault fault={revoke.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose} data-autofocus>
            Cancel
          </Button>
          <Button
            color="red"
            loading={revoke.isPending}
            onClick={() => {
              revoke.mutate();
            }}
          >
            Revoke
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
