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
/** What can be the name of a data set, with or without its version. */
const REFERENCE = /^[a-z0-9][a-z0-9-]{0,62}(@[1-9][0-9]{0,8})?$/;

/**
 * Looks up the names, or name@version, that a manifest cites as its training data: the data set of that name with the
 * split train, and the one of that name and the ending -test with the split test. Manifests may write underscores where
 * the registry has hyphens.
 */
export async function citedDatasets(registry: Registry, cited: readonly string[]): Promise<CitedDatasets> {
  const train: registryV1.Dataset[] = [];
  const test: registryV1.Dataset[] = [];
  for (const citation of new Set(cited)) {
    const reference = citation.toLowerCase().replaceAll('_', '-');
    if (!REFERENCE.test(reference)) continue;
    const found = await registry.dataset(reference);
    if (found?.split === 'train') train.push(found);
    const [name = ''] = reference.split('@');
    const held = await registry.dataset(`${name}${TEST_SUFFIX}`);
    if (held?.split === 'test') test.push(held);
  }
  return { train, test };
}
