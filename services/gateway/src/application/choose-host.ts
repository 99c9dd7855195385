import { ThalamusError } from '@thalamus/errors';
import type { ResidencyView } from '@thalamus/registry';
import { createHash } from 'node:crypto';

/** Picks hosts for a version: those that have it ready, in rendezvous order, so that replicas of the gateway agree. */
export class ChooseHost {
  constructor(private readonly residency: ResidencyView) {}

  /** Whether some host has the version ready. */
  has(expert: string, version: string): boolean {
    return this.residency.hostsFor(expert, version).length > 0;
  }

  /** Addresses, best first. @throws EXPERT_NOT_READY when no host has the version ready */
  run(expert: string, version: string): string[] {
    const residents = this.residency.hostsFor(expert, version);
    if (residents.length === 0) {
      throw new ThalamusError(
        'EXPERT_NOT_READY',
        `No host has ${expert}@${version} ready; try again in a moment.`,
        { retryAfterMs: 1_000 },
      );
    }
    const weight = (address: string) =>
      createHash('sha256').update(`${address}\n${expert}@${version}`).digest('hex');
    return [...new Set(residents.map(({ address }) => address))].sort((a, b) =>
      weight(a) < weight(b) ? 1 : -1,
    );
  }
}
