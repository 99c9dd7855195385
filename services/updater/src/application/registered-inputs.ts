import type { registryV1 } from '@thalamus/contracts';
import { isTask } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import { invalid } from './job-plan.js';

/** Tasks that jobs tell apart. */
export const CLASSIFICATION_TASK = 'text-classification';
export const MASK_TASK = 'fill-mask';
const EMBEDDING_TASK = 'feature-extraction';

/** What names in the parameters of jobs stand for now. */
export class RegisteredInputs {
  constructor(private readonly view: RegistryView) {}

  /** A version, name@version. @throws EXPERT_NOT_FOUND that names the field */
  version(field: string, reference: string): registryV1.ExpertVersion {
    const [expert = '', version = ''] = reference.split('@');
    const found = this.view.version(expert, version);
    if (found) return found;
    throw new ThalamusError(
      'EXPERT_NOT_FOUND',
      `No version ${reference} is registered; "thalamus experts show ${expert}" tells which are.`,
      { violations: [{ field, description: 'registered versions, name@version' }] },
    );
  }

  /** A data set. @throws RESOURCE_NOT_FOUND that names the field */
  dataset(field: string, reference: string): registryV1.Dataset {
    const value = this.view.get(`dataset/${reference}`)?.value;
    if (value?.case === 'dataset') return value.value;
    throw new ThalamusError(
      'RESOURCE_NOT_FOUND',
      `No data set ${reference} is registered; register the file first.`,
      { violations: [{ field, description: 'a registered data set, name@version' }] },
    );
  }

  /** A data set that may be trained on. @throws RESOURCE_NOT_FOUND, REQUEST_INVALID for a test split */
  learnable(field: string, reference: string): registryV1.Dataset {
    const data = this.dataset(field, reference);
    const heldOut = data.split === 'test' ? data : this.testSplitOf(data);
    if (!heldOut) return data;
    throw invalid(
      field,
      `${reference} is the test split ${heldOut.name}@${heldOut.version}, which nothing may be trained on; give other rows`,
    );
  }

  /** A base; without a name the only stable one. @throws EXPERT_NOT_FOUND, REQUEST_INVALID */
  base(reference: string | undefined): registryV1.ExpertVersion {
    if (reference !== undefined) {
      const [expert = '', version = ''] = reference.split('@');
      const found = this.view.version(expert, version);
      if (!found)
        throw new ThalamusError(
          'EXPERT_NOT_FOUND',
          `No version ${reference} is registered; name a registered base.`,
        );
      if (found.task !== EMBEDDING_TASK)
        throw invalid(
          'parameters.base',
          `${reference} serves ${found.task}; a base serves ${EMBEDDING_TASK}`,
        );
      return found;
    }
    const bases = this.view
      .experts()
      .filter(({ task }) => isTask(task) && task === EMBEDDING_TASK)
      .flatMap(({ name }) => this.view.stableVersion(name) ?? []);
    const [only, second] = bases;
    if (only && !second) return only;
    const names = bases.map(({ expert, version }) => `${expert}@${version}`).join(', ') || 'none';
    throw invalid('parameters.base', `name the base that is meant; registered are ${names}`);
  }

  /** A data set with the same bytes, when they are known as a test split and as nothing else. */
  private testSplitOf(data: registryV1.Dataset): registryV1.Dataset | undefined {
    const others = this.view
      .list('dataset/')
      .flatMap(({ value }) => (value.case === 'dataset' ? [value.value] : []))
      .filter(
        ({ digest, name, version }) =>
          digest === data.digest && (name !== data.name || version !== data.version),
      );
    return others.every(({ split }) => split === 'test') ? others[0] : undefined;
  }
}
