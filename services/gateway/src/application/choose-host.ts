import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView, ResidencyView } from '@thalamus/registry';
import { createHash } from 'node:crypto';

/**
 * Picks hosts for a version: those that have it ready, else those that load it when it is asked for, in rendezvous order, so that
 * replicas of the gateway agree.
 */
export class ChooseHost {
  constructor(
    private readonly residency: ResidencyView,
    private readonly view: RegistryView,
  ) {}

  /** Whether some host has the version ready. */
  has(expert: string, version: string): boolean {
    return this.residency.hostsFor(expert, version).length > 0;
  }

  /**
   * Addresses, best first.
   * @throws EXPERT_NOT_READY when no host has the version yet, EXPERT_NOT_FOUND when none will load it, REQUEST_INVALID
   * for a remote model
   */
  run(expert: string, version: string): string[] {
    const ready = this.residency.hostsFor(expert, version);
    const residents = ready.length > 0 ? ready : this.residency.hostsThatLoad(expert, version);
    if (residents.length === 0) throw this.nobodyHas(expert, version);
    const weight = (address: string) =>
      createHash('sha256').update(`${address}\n${expert}@${version}`).digest('hex');
    return [...new Set(residents.map(({ address }) => address))].sort((a, b) =>
      weight(a) < weight(b) ? 1 : -1,
    );
  }

  /** Hosts load what a channel names, and what they are told to load: everything else stays where it is. */
  private nobodyHas(expert: string, version: string): ThalamusError {
    if (this.view.version(expert, version)?.kind === registryV1.ExpertKind.UPSTREAM)
      return new ThalamusError(
        'REQUEST_INVALID',
        `${expert} is a remote model without tensors here; ask it with POST /v1/chat/completions.`,
        { violations: [{ field: 'model', description: 'must be an expert that hosts of the mesh run' }] },
      );
    const channels = this.channelsOf(expert);
    const resident = this.residency.all().filter((record) => record.expert === expert);
    if (channels.has(version) || resident.some((record) => record.version === version))
      return new ThalamusError(
        'EXPERT_NOT_READY',
        `No host has ${expert}@${version} ready; try again in a moment.`,
        { retryAfterMs: 1_000 },
      );
    const loaded = resident.filter(({ state }) => state === 'ready').map((record) => record.version);
    const served = [...new Set([...channels.keys(), ...loaded])].map((other) => {
      const channel = channels.get(other);
      return `${expert}@${other}${channel === undefined ? '' : ` (${channel})`}`;
    });
    return new ThalamusError(
      'EXPERT_NOT_FOUND',
      `${expert}@${version} is registered but not served: no channel names it. Served: ${served.join(', ') || 'none'}.`,
      { violations: [{ field: 'model', description: 'must be a version that is served' }] },
    );
  }

  /** The channel of each version that has one, the most used channel first. */
  private channelsOf(expert: string): ReadonlyMap<string, string> {
    const { stable = '', candidate = '', shadow = '' } = this.view.expert(expert) ?? {};
    const named = Object.entries({ shadow, candidate, stable }).filter(([, version]) => version !== '');
    return new Map(named.map(([channel, version]) => [version, channel] as const).reverse());
  }
}
