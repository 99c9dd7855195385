/** Asks again and again until the answer is there; fails with what was waited for when the time is over. */
export async function waitUntil<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 20_000,
): Promise<T> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > until) throw new Error(`Waited ${timeoutMs / 1000} s in vain for this: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
