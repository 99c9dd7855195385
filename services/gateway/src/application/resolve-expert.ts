import type { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import type { Caller } from '../domain/caller.js';
import type { ParentReference, PinnedParent } from '../domain/composition-name.js';
import { isOpenTo } from './expert-access.js';
import type { WarmStable } from './warm-stable.js';

/** An expert with the version that answers. */
export interface ResolvedExpert {
  readonly expert: string;
  readonly version: string;
  readonly task: string;
  readonly channel: 'stable' | 'pinned';
}

/** A parent of a composition, with what tells it from another of the same name and version. */
export interface ResolvedParent extends PinnedParent {
  readonly task: string;
  /** sha256:<hex>; empty for a remote model. */
  readonly manifestDigest: string;
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
    const expert = this.allowed(name, caller);
    const version = pinned ?? this.warm.version(name, expert.stable);
    this.known(expert, version, caller);
    return { expert: name, version, task: expert.task, channel: pinned === undefined ? 'stable' : 'pinned' };
  }

  /**
   * A parent of a composition: the stable version is the one that the registry names, so that what is composed does not hang on
   * what hosts have loaded. @throws EXPERT_NOT_FOUND, PERMISSION_DENIED
   */
  parent({ expert: name, version: pinned }: ParentReference, caller: Caller): ResolvedParent {
    const expert = this.allowed(name, caller);
    const version = pinned ?? expert.stable;
    const { manifestDigest } = this.known(expert, version, caller);
    return { expert: name, version, task: expert.task, manifestDigest };
  }

  /**
   * The expert that a composition is, for who may use each of its parents: a policy that lists the parents need not list it.
   * @throws EXPERT_NOT_FOUND
   */
  composition({ expert: name, version }: PinnedParent, caller: Caller): ResolvedExpert {
    const expert = this.found(name);
    this.known(expert, version, caller);
    return { expert: name, version, task: expert.task, channel: 'pinned' };
  }

  private allowed(name: string, caller: Caller): registryV1.Expert {
    const expert = this.found(name);
    if (!isOpenTo(this.view, name, expert.stable, caller.tenant)) throw unknown(name);
    const policy = this.view.policy(caller.tenant);
    if (policy && policy.allowedExperts.length > 0 && !policy.allowedExperts.includes(name))
      throw new ThalamusError(
        'PERMISSION_DENIED',
        `The policy of the tenant ${caller.tenant} does not allow ${name}.`,
      );
    return expert;
  }

  private found(name: string): registryV1.Expert {
    const expert = this.view.expert(name);
    if (!expert) throw unknown(name);
    return expert;
  }

  private known({ name, stable }: registryV1.Expert, version: string, caller: Caller) {
    const known = this.view.version(name, version);
    if (known && isOpenTo(this.view, name, version, caller.tenant)) return known;
    throw new ThalamusError(
      'EXPERT_NOT_FOUND',
      version === ''
        ? `${name} has no stable version; name one as ${name}@version.`
        : `${name} has no version ${version}; ${stable === '' ? 'none is stable' : `the stable one is ${stable}`}.`,
      { violations: [{ field: 'model', description: 'unknown version' }] },
    );
  }
}

function unknown(name: string): ThalamusError {
  return new ThalamusError('EXPERT_NOT_FOUND', `No expert "${name}" exists; GET /v1/models lists them.`, {
    violations: [{ field: 'model', description: 'unknown expert' }],
  });
}
