/**
 * Waits for a promise, but no longer than until the signal fires; then rejects with the signal's reason. The listener is
 * removed in every case, so that a stream of a million messages leaves none behind.
 */
export async function untilAborted<T>(work: Promise<T> | T, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let undo: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    const fire = () => {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the reason is what the signal was given
      reject(signal.reason);
    };
    signal.addEventListener('abort', fire, { once: true });
    undo = () => {
      signal.removeEventListener('abort', fire);
    };
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    undo();
  }
}
