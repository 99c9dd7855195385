import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import type { Caller } from '../domain/caller.js';
import type { WarmStable } from './warm-stable.js';

/** An expert with the version that answers. */
export interface ResolvedExpert {
  readonly expert: string;
  readonly version: string;
  readonly task: string;
  readonly channel: 'stable' | 'pinned';
}

/**
 * Maps an expert to its version: the stable channel, unless the caller pins one; the version before while no host has the stable
 * one ready. Enforces tenants and policy.
 */
export class ResolveExpert {
  constructor(
    private readonly view: RegistryView,
    private readonly warm: WarmStable,
  ) {}

  /** @throws EXPERT_NOT_FOUND, PERMISSION_DENIED */
  run(name: string, pinned: string | undefined, caller: Caller): ResolvedExpert {
    const expert = this.view.expert(name);
    if (!expert || !isOpen(expert.tenants, caller.tenant)) {
      throw new ThalamusError('EXPERT_NOT_FOUND', `No expert "${name}" exists; GET /v1/models lists them.`, {
        violations: [{ field: 'model', description: 'unknown expert' }],
      });
    }
    const policy = this.view.policy(caller.tenant);
    if (policy && policy.allowedExperts.length > 0 && !policy.allowedExperts.includes(name)) {
      throw new ThalamusError(
        'PERMISSION_DENIED',
        `The policy of the tenant ${caller.tenant} does not allow ${name}.`,
      );
    }
    const version = pinned ?? this.warm.version(name, expert.stable);
    if (!this.view.version(name, version)) {
      throw new ThalamusError(
        'EXPERT_NOT_FOUND',
        version === ''
          ? `${name} has no stable version; name one as ${name}@version.`
          : `${name} has no version ${version}; ${expert.stable === '' ? 'none is stable' : `the stable one is ${expert.stable}`}.`,
        { violations: [{ field: 'model', description: 'unknown version' }] },
      );
    }
    return { expert: name, version, task: expert.task, channel: pinned === undefined ? 'stable' : 'pinned' };
  }

  /** The expert that is the composition of these parents. @throws EXPERT_NOT_FOUND */
  composition(parents: readonly string[], caller: Caller): ResolvedExpert {
    const wanted = [...parents].sort().join('+');
    const found = this.view.compositions().find(
      (item) =>
        item.parents
          .map((parent) => parent.split('@')[0])
          .sort()
          .join('+') === wanted,
    );
    if (!found)
      throw new ThalamusError(
        'EXPERT_NOT_FOUND',
        `No composition of ${wanted} exists; "thalamus compose run ${parents.join(' ')}" makes one.`,
        { violations: [{ field: 'model', description: 'unknown composition' }] },
      );
    return this.run(found.expert, found.version, caller);
  }
}

function isOpen(tenants: readonly string[], tenant: string): boolean {
  return tenants.length === 0 || tenants.includes(tenant);
}
