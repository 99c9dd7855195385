import { Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { api } from '../../api/client.js';
import type { KeyRow } from '../../api/types.js';
import { Dialog } from '../../dialogs/dialog.js';
import { DialogForm } from '../../dialogs/dialog-form.js';

/** Asks once more before a key is revoked: that cannot be taken back. */
export function RevokeKeyDialog({ row, onClose }: { readonly row: KeyRow; readonly onClose: () => void }) {
  const queries = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => api.revokeKey(row.id),
    onSettled: () => queries.invalidateQueries({ queryKey: ['keys'] }),
    onSuccess: onClose,
  });
  return (
    <Dialog title="Revoke this key?" onClose={onClose}>
      <DialogForm
        run={revoke}
        button="Revoke"
        color="red"
        focusOnCancel
        onSubmit={revoke.mutate}
        onClose={onClose}
      >
        <Text size="sm">
          <b>{row.id}</b>
          {row.description === '' ? '' : `, ${row.description},`} stops working at once, wherever it is used.
          This cannot be taken back.
        </Text>
      </DialogForm>
    </Dialog>
  );
}
