/** How long a request may go on. */
export interface Patience {
  /** Unix time in milliseconds at which it must turn to something else. */
  readonly untilMs: number;
  readonly signal: AbortSignal;
}

/**
 * What a promise gives in time; undefined when it has not settled by then. The promise goes on by itself.
 * @throws what it rejects with in time, the reason of the signal
 */
export async function inTime<T>(
  work: Promise<T>,
  { untilMs, signal }: Patience,
): Promise<{ readonly value: T } | undefined> {
  signal.throwIfAborted();
  const over = Promise.withResolvers<undefined>();
  const timer = setTimeout(
    () => {
      over.resolve(undefined);
    },
    Math.max(0, untilMs - Date.now()),
  );
  const onAbort = () => {
    over.reject(signal.reason as Error);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  // Whoever stops waiting does not hear of its failure.
  work.catch(() => undefined);
  try {
    return await Promise.race([work.then((value) => ({ value })), over.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/** Looks again and again until something holds, in time. @throws the reason of the signal */
export async function becomesTrue(
  holds: () => boolean,
  { untilMs, signal }: Patience,
  everyMs = 20,
): Promise<boolean> {
  for (;;) {
    signal.throwIfAborted();
    if (holds()) return true;
    const left = untilMs - Date.now();
    if (left <= 0) return false;
    await new Promise((resolve) => setTimeout(resolve, Math.min(everyMs, left)));
  }
}
