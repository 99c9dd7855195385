import { timestampMs } from '@bufbuild/protobuf/wkt';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView, ResidencyView } from '@thalamus/registry';
import { createHash } from 'node:crypto';

/** How long after a change of its channels a version may be unknown to every host: they read the registry as the gateway does. */
const HEARD_WITHIN_MS = 2_000;
const LOOK_AGAIN_MS = 20;

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
    const addresses = this.addresses(expert, version);
    if (addresses.length === 0) throw this.nobodyHas(expert, version);
    return addresses;
  }

  /**
   * As `run`, with a moment for hosts to hear of a version that a channel has only just begun to name.
   * @throws what `run` throws
   */
  async soon(
    expert: string,
    version: string,
    { deadlineAtMs, signal }: { readonly deadlineAtMs: number; readonly signal: AbortSignal },
  ): Promise<string[]> {
    while (this.addresses(expert, version).length === 0 && this.isNews(expert, version)) {
      if (signal.aborted || Date.now() + LOOK_AGAIN_MS >= deadlineAtMs) break;
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
    return this.run(expert, version);
  }

  private addresses(expert: string, version: string): string[] {
    const ready = this.residency.hostsFor(expert, version);
    const residents = ready.length > 0 ? ready : this.residency.hostsThatLoad(expert, version);
    const weight = (address: string) =>
      createHash('sha256').update(`${address}\n${expert}@${version}`).digest('hex');
    return [...new Set(residents.map(({ address }) => address))].sort((a, b) =>
      weight(a) < weight(b) ? 1 : -1,
    );
  }

  private isNews(expert: string, version: string): boolean {
    const changedAt = this.view.get(`expert/${expert}`)?.updatedAt;
    if (!changedAt || !this.channelsOf(expert).has(version)) return false;
    if (this.view.version(expert, version)?.kind === registryV1.ExpertKind.UPSTREAM) return false;
    // A failed load is no news: whoever asks is told.
    if (this.residency.all().some((record) => record.expert === expert && record.version === version))
      return false;
    return Math.abs(Date.now() - timestampMs(changedAt)) < HEARD_WITHIN_MS;
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
