import type { FleetHost, ResidencyView } from '@thalamus/registry';
import type { Caller } from '../domain/caller.js';
import { runsMesh } from '../domain/tenancy.js';
import type { ListExperts } from './list-experts.js';

/** A host as a caller may see it. */
export interface DescribedHost extends FleetHost {
  /** Versions that it serves of experts that the caller may not use: they are not among `residents`. */
  readonly hidden: number;
}

/** What the hosts of the mesh keep in memory, with the experts that the caller may use; all of them for who runs the mesh. */
export class DescribeHosts {
  constructor(
    private readonly list: ListExperts,
    private readonly residency: ResidencyView,
  ) {}

  run(caller: Caller): DescribedHost[] {
    const fleet = this.residency.fleet();
    if (runsMesh(caller)) return fleet.map((host) => ({ ...host, hidden: 0 }));
    const open = new Set(this.list.run(caller).map(({ expert }) => expert.name));
    return fleet.map((host) => {
      const residents = host.residents.filter(({ expert }) => open.has(expert));
      return {
        ...host,
        // Each names an expert: of a base that others stand on too, or one of another tenant.
        memory: host.memory && {
          ...host.memory,
          processes: host.memory.processes.filter(({ name }) =>
            residents.some(({ process }) => process === name),
          ),
        },
        residents,
        hidden: host.residents.length - residents.length,
      };
    });
  }
}
