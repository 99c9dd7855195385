import type { RegistryView, ResidencyView } from '@thalamus/registry';

/**
 * The version of an expert that answers for its stable channel: the stable one as soon as a host has it ready; until then the one
 * that answered before, as long as a host has that. A promotion so costs no request.
 */
export class WarmStable {
  private readonly answering = new Map<string, string>();

  constructor(
    private readonly view: Pick<RegistryView, 'version'>,
    private readonly residency: Pick<ResidencyView, 'hostsFor'>,
  ) {}

  version(expert: string, stable: string): string {
    const before = this.answering.get(expert);
    if (this.isReady(expert, stable)) {
      this.answering.set(expert, stable);
      return stable;
    }
    const canAnswer =
      before !== undefined && this.view.version(expert, before) !== undefined && this.isReady(expert, before);
    return canAnswer ? before : stable;
  }

  private isReady(expert: string, version: string): boolean {
    return this.residency.hostsFor(expert, version).length > 0;
  }
}
