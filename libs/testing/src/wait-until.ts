/** How long, and how often, {@link waitUntil} looks. */
export interface WaitOptions {
  /** Milliseconds after which it gives up. Default 20,000. */
  readonly timeoutMs?: number;
  /** Milliseconds between looks. Default 20. */
  readonly everyMs?: number;
  /** Says of a throw of the condition that waiting on is in vain. */
  readonly unless?: (fault: unknown) => boolean;
}

/**
 * Looks at a condition until it holds, and returns its value: what tests use instead of sleeping.
 * @throws Error that names `what` when the time is over; a throw of the condition is kept as its cause.
 */
export async function waitUntil<T>(
  what: string,
  condition: () => T | Promise<T>,
  { timeoutMs = 20_000, everyMs = 20, unless }: WaitOptions = {},
): Promise<NonNullable<T>> {
  const until = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value !== false && value !== undefined && value !== null) return value;
    } catch (fault) {
      if (unless?.(fault)) throw fault;
      cause = fault;
    }
    if (performance.now() >= until)
      throw new Error(`Waited ${timeoutMs} ms in vain until ${what}.`, { cause });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
