import { toThalamusError, type ErrorCode } from '@thalamus/errors';

/** What passes by itself while a writer is elected or a service starts. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NOT_LEADER',
  'LEADERSHIP_LOST',
  'REGISTRY_NOT_READY',
  'UPSTREAM_UNAVAILABLE',
]);
const PAUSE_MS = 100;

/** Repeats idempotent work while the registry elects its writer, for at most `timeoutMs`; then throws its last error. */
export async function whileElecting<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await work();
    } catch (fault) {
      const { code } = toThalamusError(fault);
      if (!PASSING.has(code) || performance.now() > until) throw fault;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
