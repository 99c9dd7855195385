import type { registryV1 } from '@thalamus/contracts';
import type { Registry } from './registry.port.js';

/** Registered data sets that a manifest's training data stands for. */
export interface CitedDatasets {
  /** Rows that a router may be fitted on. */
  readonly train: readonly registryV1.Dataset[];
  /** Rows of the same tasks that nothing was fitted on. */
  readonly test: readonly registryV1.Dataset[];
}

/** What is registered under the name of a data set with this ending is its test split. */
const TEST_SUFFIX = '-test';
/** And with this one more rows of its training split, kept for routers. */
const ROUTER_SUFFIX = '-router';
/** What can be the name of a data set, with or without its version. */
const REFERENCE = /^[a-z0-9][a-z0-9-]{0,62}(@[1-9][0-9]{0,8})?$/;

/**
 * Looks up the names, or name@version, that a manifest cites as its training data: the data sets of that name and of that name with
 * the ending -router with the split train, and the one with the ending -test with the split test. Manifests may write underscores
 * where the registry has hyphens.
 */
export async function citedDatasets(registry: Registry, cited: readonly string[]): Promise<CitedDatasets> {
  const train: registryV1.Dataset[] = [];
  const test: registryV1.Dataset[] = [];
  for (const citation of new Set(cited)) {
    const reference = citation.toLowerCase().replaceAll('_', '-');
    if (!REFERENCE.test(reference)) continue;
    const [name = ''] = reference.split('@');
    for (const each of [reference, `${name}${ROUTER_SUFFIX}`]) {
      const found = await registry.dataset(each);
      if (found?.split === 'train') train.push(found);
    }
    const held = await registry.dataset(`${name}${TEST_SUFFIX}`);
    if (held?.split === 'test') test.push(held);
  }
  return { train, test };
}
