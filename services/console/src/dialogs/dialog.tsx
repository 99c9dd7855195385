import { Modal } from '@mantine/core';
import type { ReactNode } from 'react';

/** A question above the page. The focus goes back to where it was opened. */
export function Dialog(props: {
  readonly title: string;
  readonly onClose: () => void;
  /** Left out: it is open as long as it is there. */
  readonly isOpen?: boolean;
  readonly closeOnClickOutside?: boolean;
  readonly children: ReactNode;
}) {
  const { title, onClose, isOpen = true, closeOnClickOutside = true, children } = props;
  return (
    <Modal
      opened={isOpen}
      onClose={onClose}
      title={title}
      centered
      closeOnClickOutside={closeOnClickOutside}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      {children}
    </Modal>
  );
}
