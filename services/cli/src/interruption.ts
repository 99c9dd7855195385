import { EXIT } from './exit-codes.js';

const SHOW_CURSOR = '\u001b[?25h';
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

function end(): never {
  if (process.stderr.isTTY) process.stderr.write(SHOW_CURSOR);
  process.exit(EXIT.interrupted);
}

/** Ctrl-C ends any verb at once, with the cursor back; what a remote side does for it is cancelled with the connection. */
export function endOnInterrupt(): void {
  for (const signal of SIGNALS) process.on(signal, end);
}

/** For verbs that end in order: every Ctrl-C is theirs from now on, until the returned function gives it back. */
export function onInterrupt(handle: () => void): () => void {
  for (const signal of SIGNALS) {
    process.off(signal, end);
    process.on(signal, handle);
  }
  return () => {
    for (const signal of SIGNALS) {
      process.off(signal, handle);
      process.on(signal, end);
    }
  };
}

/**
 * While this process computes without a pause it cannot hear Ctrl-C: from now on the system ends it at once, until the returned
 * function gives that back. For work that leaves nothing behind.
 */
export function endBySystem(): () => void {
  if (process.stderr.isTTY) process.stderr.write(SHOW_CURSOR);
  for (const signal of SIGNALS) process.off(signal, end);
  return endOnInterrupt;
}
