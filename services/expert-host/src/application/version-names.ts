import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import type { Slots } from './slots.js';
import type { WarmVersions } from './warm-versions.js';

/** Which versions of an expert a caller means, as the registry and what is here say it. */
export class VersionNames {
  constructor(
    private readonly view: RegistryView,
    private readonly warm: WarmVersions,
    private readonly slots: Slots,
  ) {}

  /** The version that the stable channel names; empty for none. */
  stable(expert: string): string {
    return this.view.expert(expert)?.stable ?? '';
  }

  /**
   * The version that is meant: the one named; for an empty one the stable version of the registry, or the one before while
   * that is loaded; else the newest that is here. @throws EXPERT_NOT_FOUND
   */
  versionOf(expert: string, version: string): string {
    if (version !== '') return version;
    const stable = this.stable(expert);
    if (stable !== '') return this.warm.of(expert, stable);
    const known = this.slots.list().filter((slot) => slot.expert === expert);
    const newest = known.sort((a, b) => Number(BigInt(b.version) - BigInt(a.version)))[0]?.version;
    if (newest !== undefined) return newest;
    throw new ThalamusError(
      'EXPERT_NOT_FOUND',
      `No expert ${expert.slice(0, 64)} with a stable version is known here; name a version.`,
    );
  }

  /** Versions that a channel of the registry names. @throws EXPERT_NOT_FOUND */
  channelVersions(expert: string): string[] {
    const { stable = '', candidate = '', shadow = '' } = this.view.expert(expert) ?? {};
    const versions = new Set([stable, candidate, shadow].filter((version) => version !== ''));
    if (versions.size === 0)
      throw new ThalamusError(
        'EXPERT_NOT_FOUND',
        `No channel of ${expert.slice(0, 64)} names a version here.`,
      );
    return [...versions];
  }

  /** @throws EXPERT_NOT_FOUND for a version that the registry does not name */
  requireKnown(expert: string, version: string): void {
    if (!this.view.version(expert, version))
      throw new ThalamusError('EXPERT_NOT_FOUND', `No expert ${expert}@${version} is known here.`);
  }
}
