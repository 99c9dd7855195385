import { Button, Group, Stack } from '@mantine/core';
import type { ReactNode } from 'react';
import { Fault } from '../states/fault.js';

/** The part of a mutation that a form shows. */
export interface Run {
  readonly isPending: boolean;
  readonly error: unknown;
}

/** Fields of a dialog, what went wrong, and the way back beside the way on. What is not ready, or under way, is not sent. */
export function DialogForm(props: {
  readonly run: Run;
  readonly button: string;
  readonly color?: string | undefined;
  readonly isReady?: boolean;
  /** Where the focus is at first when the form has no field. */
  readonly focusOnCancel?: boolean;
  readonly onSubmit: () => void;
  readonly onClose: () => void;
  readonly children: ReactNode;
}) {
  const { run, button, color, isReady = true, focusOnCancel = false, onSubmit, onClose, children } = props;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (isReady && !run.isPending) onSubmit();
      }}
    >
      <Stack>
        {children}
        {run.error !== null && <Fault fault={run.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose} data-autofocus={focusOnCancel || undefined}>
            Cancel
          </Button>
          <Button
            type="submit"
            {...(color === undefined ? {} : { color })}
            disabled={!isReady}
            loading={run.isPending}
          >
            {button}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
