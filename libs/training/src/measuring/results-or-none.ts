import { ThalamusError } from '@thalamus/errors';

/**
 * Runs items together; where the model fails to run, each alone once more. Undefined for an item that fails alone too.
 * @throws every other fault: it is none of an item
 */
export async function resultsOrNone<Item, Result>(
  items: readonly Item[],
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
): Promise<readonly (Result | undefined)[]> {
  if (items.length === 0) return [];
  try {
    return await run(items);
  } catch (fault) {
    if (!ThalamusError.is(fault) || fault.code !== 'INFERENCE_FAILED') throw fault;
    if (items.length === 1) return [undefined];
    const results: (Result | undefined)[] = [];
    for (const item of items) results.push(...(await resultsOrNone([item], run)));
    return results;
  }
}
