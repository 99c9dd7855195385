import { registryV1 } from '@thalamus/contracts';
import { ThalamusError, toThalamusError, type ErrorCode } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import type { Caller } from '../domain/caller.js';
import type { ParentReference, PinnedParent } from '../domain/composition-name.js';
import { placeOf, subjectOf, type ReleaseScope } from '../domain/release-share.js';
import { isOpenTo } from './expert-access.js';
import type { LiveRelease, LiveReleases } from './releases/live-releases.js';
import type { WarmStable } from './warm-stable.js';

/** An expert with the version that answers. */
export interface ResolvedExpert {
  readonly expert: string;
  readonly version: string;
  readonly task: string;
  readonly channel: 'stable' | 'candidate' | 'pinned';
  /** Live release that the request is part of; left out without one, and for a pinned version. */
  readonly release?: LiveRelease;
  /** With a candidate: what answers in its place when it fails. */
  readonly instead?: ResolvedExpert;
  /** Of what is asked in place of a candidate: the code that the candidate failed with. */
  readonly candidateError?: ErrorCode;
}

/** Which part of a release answered. */
export type ReleaseArm = 'stable' | 'candidate';

/** The part of a live release that a version is asked as; undefined without one. */
export function armOf({ release, channel }: ResolvedExpert): ReleaseArm | undefined {
  return release && channel !== 'pinned' ? channel : undefined;
}

/** What is asked after a candidate that failed, for its reason. */
export function afterCandidate(instead: ResolvedExpert, fault: unknown): ResolvedExpert {
  return { ...instead, candidateError: toThalamusError(fault).code };
}

/** A parent of a composition, with what tells it from another of the same name and version. */
export interface ResolvedParent extends PinnedParent {
  readonly task: string;
  /** sha256:<hex>; empty for a remote model. */
  readonly manifestDigest: string;
}

/**
 * Maps an expert to its version: the stable channel, unless the caller pins one; the version before while no host has the stable
 * one ready; the candidate of a release for those who get it, as long as a host has it ready. Enforces tenants and policy.
 */
export class ResolveExpert {
  constructor(
    private readonly view: RegistryView,
    private readonly warm: Pick<WarmStable, 'version' | 'isReady'>,
    private readonly releases: Pick<LiveReleases, 'of'>,
  ) {}

  /** @throws EXPERT_NOT_FOUND, PERMISSION_DENIED */
  run(name: string, pinned: string | undefined, scope: ReleaseScope): ResolvedExpert {
    const { caller } = scope;
    const expert = this.allowed(name, caller);
    const version = pinned ?? this.warm.version(name, expert.stable);
    this.known(expert, version, caller);
    const { task } = expert;
    if (pinned !== undefined) return { expert: name, version, task, channel: 'pinned' };
    const release = this.releases.of(name);
    const stable: ResolvedExpert = { expert: name, version, task, channel: 'stable' };
    if (!release) return stable;
    const instead: ResolvedExpert = { ...stable, release };
    if (!this.getsCandidate(release, scope)) return instead;
    return { ...instead, version: release.toVersion, channel: 'candidate', instead };
  }

  /** Whether the candidate of a release can be asked for this caller. */
  canAsk({ expert, toVersion }: LiveRelease, { tenant }: Caller): boolean {
    const candidate = this.view.version(expert, toVersion);
    if (!candidate || !isOpenTo(this.view, expert, toVersion, tenant)) return false;
    return candidate.kind === registryV1.ExpertKind.UPSTREAM || this.warm.isReady(expert, toVersion);
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

  private getsCandidate(release: LiveRelease, scope: ReleaseScope): boolean {
    if (!(release.weight > 0) || placeOf(release.id, subjectOf(scope)) >= release.weight) return false;
    return this.canAsk(release, scope.caller);
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
