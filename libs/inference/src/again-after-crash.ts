import { isWorthAnotherRun } from './inference-child.js';

/**
 * Runs a computation without side effects once more when its process ended under it, unless it was itself what took too long.
 * @throws what the last try throws
 */
export async function againAfterCrash<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isWorthAnotherRun(error) || signal?.aborted) throw error;
    return work();
  }
}
