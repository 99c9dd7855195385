import type { registryV1 } from '@thalamus/contracts';
import type { RegistryView } from '@thalamus/registry';

/** Registered data sets that a manifest's training data stands for. */
export interface CitedDatasets {
  /** Rows that a router may be fitted on. */
  readonly train: readonly registryV1.Dataset[];
  /** Rows of the same tasks that nothing was fitted on. */
  readonly test: readonly registryV1.Dataset[];
}

/** What is registered under the name of a data set with this ending is its test split. */
const TEST_SUFFIX = '-test';

/**
 * Looks up the names, or name@version, that a manifest cites as its training data: the data set of that name with the
 * split train, and the one of that name and the ending -test with the split test. Manifests may write underscores where
 * the registry has hyphens.
 */
export function citedDatasets(view: RegistryView, cited: readonly string[]): CitedDatasets {
  const train: registryV1.Dataset[] = [];
  const test: registryV1.Dataset[] = [];
  for (const citation of new Set(cited)) {
    const [written = '', version] = citation.toLowerCase().split('@');
    const name = written.replaceAll('_', '-');
    const found = version === undefined ? view.dataset(name) : datasetOf(view, name, version);
    if (found?.split === 'train') train.push(found);
    const held = view.dataset(`${name}${TEST_SUFFIX}`);
    if (held?.split === 'test') test.push(held);
  }
  return { train, test };
}

function datasetOf(view: RegistryView, name: string, version: string): registryV1.Dataset | undefined {
  const value = view.get(`dataset/${name}@${version}`)?.value;
  return value?.case === 'dataset' ? value.value : undefined;
}
