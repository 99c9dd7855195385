import type { registryV1 } from '@thalamus/contracts';
import type { RegistryView, Resident, ResidencyView } from '@thalamus/registry';
import type { Caller } from '../domain/caller.js';
import type { ListExperts } from './list-experts.js';

/** A version with its channels and the hosts that know it. */
export interface DescribedVersion {
  readonly version: registryV1.ExpertVersion;
  readonly channels: readonly ('stable' | 'candidate' | 'shadow')[];
  readonly residents: readonly Resident[];
}

/** An expert with all its versions, newest first. */
export interface DescribedExpert {
  readonly expert: registryV1.Expert;
  /** Of its last change. */
  readonly revision: bigint;
  readonly versions: readonly DescribedVersion[];
}

/** Everything that is known of the experts a caller may use: registry and residency together. */
export class DescribeExperts {
  constructor(
    private readonly list: ListExperts,
    private readonly view: RegistryView,
    private readonly residency: ResidencyView,
  ) {}

  run(caller: Caller): DescribedExpert[] {
    const residents = Map.groupBy(this.residency.all(), ({ expert, version }) => `${expert}@${version}`);
    return this.list.run(caller).map(({ expert }) => ({
      expert,
      revision: this.view.get(`expert/${expert.name}`)?.revision ?? 0n,
      versions: this.view
        .versions(expert.name)
        .sort((a, b) => Number(b.version) - Number(a.version))
        .map((version) => ({
          version,
          channels: (['stable', 'candidate', 'shadow'] as const).filter(
            (channel) => expert[channel] === version.version,
          ),
          residents: residents.get(`${expert.name}@${version.version}`) ?? [],
        })),
    }));
  }
}
