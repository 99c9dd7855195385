import type { registryV1 } from '@thalamus/contracts';
import type { RegistryView } from '@thalamus/registry';
import type { Caller } from '../domain/caller.js';
import { isOpenTo } from './expert-access.js';

/** An expert with the version that answers for it. */
export interface ListedExpert {
  readonly expert: registryV1.Expert;
  readonly stable: registryV1.ExpertVersion | undefined;
}

/** Lists the experts that a caller may use, by name. */
export class ListExperts {
  constructor(private readonly view: RegistryView) {}

  run(caller: Caller): ListedExpert[] {
    const allowed = this.view.policy(caller.tenant)?.allowedExperts ?? [];
    return this.view
      .experts()
      .filter(({ name, stable }) => isOpenTo(this.view, name, stable, caller.tenant))
      .filter(({ name }) => allowed.length === 0 || allowed.includes(name))
      .map((expert) => ({ expert, stable: this.view.stableVersion(expert.name) }))
      .sort((a, b) => (a.expert.name < b.expert.name ? -1 : 1));
  }
}
