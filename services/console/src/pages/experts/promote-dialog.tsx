import { Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client.js';
import type { ExpertRow } from '../../api/types.js';
import { Dialog } from '../../dialogs/dialog.js';
import { DialogForm } from '../../dialogs/dialog-form.js';
import { ReasonField } from '../../dialogs/reason-field.js';

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
    <Dialog title={`Promote ${expert.name}@${version}`} onClose={onClose}>
      <DialogForm
        run={promote}
        button="Make it stable"
        isReady={reason.trim() !== ''}
        onSubmit={promote.mutate}
        onClose={onClose}
      >
        <Text size="sm">
          {expert.stable === ''
            ? `Version ${version} becomes stable.`
            : `Version ${version} becomes stable in place of version ${expert.stable}.`}{' '}
          All traffic of this expert goes to it at once.
        </Text>
        <ReasonField keptIn="in the audit with your key" value={reason} onChange={setReason} />
      </DialogForm>
    </Dialog>
  );
}
