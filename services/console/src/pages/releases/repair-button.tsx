import { Button, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconTool } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Release } from '../../api/release-types.js';
import { releasesApi } from '../../api/releases.js';
import { Dialog } from '../../dialogs/dialog.js';
import { DialogForm } from '../../dialogs/dialog-form.js';
import { mayStillBeRepaired, repairState } from './release-facts.js';

const REGISTERED = /^[a-z0-9][a-z0-9-]{0,62}@[1-9]\d*$/;

interface ButtonProps {
  readonly release: Release;
  readonly blocked: boolean;
  /** Element that says why it is blocked. */
  readonly describedBy: string | undefined;
}

/** Has a candidate that nobody is served yet repaired; nothing where it is being repaired, or was. */
export function RepairButton({ release, blocked, describedBy }: ButtonProps) {
  const [isAsking, { open, close }] = useDisclosure();
  if (!mayStillBeRepaired(release) || repairState(release) === 'running') return null;
  const { expert, toVersion } = release;
  return (
    <>
      <Button
        size="compact-md"
        variant="light"
        leftSection={<IconTool size={16} />}
        disabled={blocked}
        aria-describedby={describedBy}
        onClick={open}
      >
        Repair
      </Button>
      <Dialog title={`Repair ${expert}@${toVersion}`} isOpen={isAsking} onClose={close}>
        <RepairForm release={release} onClose={close} />
      </Dialog>
    </>
  );
}

function RepairForm({ release, onClose }: { readonly release: Release; readonly onClose: () => void }) {
  const queries = useQueryClient();
  const [dataset, setDataset] = useState('');
  const isNamed = REGISTERED.test(dataset.trim());
  const run = useMutation({
    mutationFn: () => releasesApi.repair({ id: release.id, dataset: dataset.trim() }),
    onSettled: async () => {
      await Promise.all(
        [['releases'], ['release', release.id]].map((queryKey) => queries.invalidateQueries({ queryKey })),
      );
    },
    onSuccess: onClose,
  });
  return (
    <DialogForm run={run} button="Repair it" isReady={isNamed} onSubmit={run.mutate} onClose={onClose}>
      <Text size="sm">
        A job trains version {release.toVersion} towards what {release.fromVersion} had right. What it makes
        takes the place of the candidate if it is no worse; no caller is served meanwhile.
      </Text>
      <TextInput
        label="Data set"
        description="Registered rows, name@version, that neither version was trained on."
        placeholder="unseen@1"
        required
        value={dataset}
        onChange={(event) => {
          setDataset(event.currentTarget.value);
        }}
        data-autofocus
      />
    </DialogForm>
  );
}
