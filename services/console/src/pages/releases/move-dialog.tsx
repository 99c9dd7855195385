import { Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Release } from '../../api/release-types.js';
import { releasesApi, type Move } from '../../api/releases.js';
import { Dialog } from '../../dialogs/dialog.js';
import { DialogForm } from '../../dialogs/dialog-form.js';
import { ReasonField } from '../../dialogs/reason-field.js';
import { weightText } from './release-facts.js';

/** What is asked and said of each move. */
const TEXTS: Readonly<Record<Move, MoveTexts>> = {
  approve: {
    title: ({ expert, toVersion }) => `Approve ${expert}@${toVersion}`,
    text: () =>
      'Rules that are inconclusive pass when as many people approve as they ask for. Your key counts once in this state.',
    button: 'Approve it',
    color: 'clay',
  },
  promote: {
    title: ({ expert, toVersion }) => `Promote ${expert}@${toVersion}`,
    text: promotionText,
    button: 'Make it stable',
    color: 'clay',
  },
  rollback: {
    title: ({ expert, fromVersion }) => `Roll ${expert} back to ${fromVersion}`,
    text: rollBackText,
    button: 'Take it back',
    color: 'red',
  },
};

interface MoveTexts {
  readonly title: (release: Release) => string;
  readonly text: (release: Release) => string;
  readonly button: string;
  readonly color: string;
}

interface DialogProps {
  readonly release: Release;
  readonly move: Move;
  readonly onClose: () => void;
}

/** Asks for the reason of a move by hand, and once more whether it is meant. */
export function MoveDialog({ isOpen, ...props }: DialogProps & { readonly isOpen: boolean }) {
  const { release, move, onClose } = props;
  return (
    <Dialog title={TEXTS[move].title(release)} isOpen={isOpen} onClose={onClose}>
      <ReasonForm {...props} />
    </Dialog>
  );
}

function ReasonForm({ release, move, onClose }: DialogProps) {
  const queries = useQueryClient();
  const [reason, setReason] = useState('');
  const run = useMutation({
    mutationFn: () => releasesApi.move({ id: release.id, move, reason: reason.trim() }),
    onSettled: async () => {
      await Promise.all(
        [['releases'], ['release', release.id], ['experts']].map((queryKey) =>
          queries.invalidateQueries({ queryKey }),
        ),
      );
    },
    onSuccess: onClose,
  });
  const { text, button, color } = TEXTS[move];
  return (
    <DialogForm
      run={run}
      button={button}
      color={color}
      isReady={reason.trim() !== ''}
      onSubmit={run.mutate}
      onClose={onClose}
    >
      <Text size="sm">{text(release)}</Text>
      <ReasonField
        keptIn="with the release and in the audit, with your key"
        value={reason}
        onChange={setReason}
      />
    </DialogForm>
  );
}

function promotionText({ toVersion, fromVersion, comparison }: Release): string {
  const warning = comparison?.verdict === 'incompatible' ? ` It is incompatible: ${comparison.reason}` : '';
  return `All callers get version ${toVersion} in place of ${fromVersion} at once, whatever the release waits for.${warning}`;
}

function rollBackText({ state, weight, fromVersion, toVersion }: Release): string {
  if (state === 'stable')
    return `Version ${fromVersion} becomes stable again in place of ${toVersion}, for all callers at once.`;
  const who =
    weight === 0
      ? 'No caller gets the candidate now; '
      : `${weightText(weight)} of the callers get ${toVersion} now; `;
  return `${who}the release ends, and the next request already goes to version ${fromVersion}.`;
}
