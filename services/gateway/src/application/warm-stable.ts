import type { ServiceComponent } from '@thalamus/lifecycle';
import type { RegistryView, ResidencyView } from '@thalamus/registry';

const EXPERT_KEY = 'expert/';

/**
 * The version of an expert that answers for its stable channel: the stable one as soon as a host has it ready; until then the one
 * that answered before, as long as a host has that. A promotion so costs no request. It follows the registry: the version before
 * is known also where nobody has asked for it.
 */
export class WarmStable implements ServiceComponent {
  readonly name = 'warm stable versions';
  private readonly answering = new Map<string, string>();
  /** Stable version of each expert, as last seen. */
  private readonly seen = new Map<string, string>();
  private stopFollowing: (() => void) | undefined;

  constructor(
    private readonly view: Pick<RegistryView, 'version' | 'experts' | 'onChange'>,
    private readonly residency: Pick<ResidencyView, 'hostsFor'>,
  ) {}

  /** To be called when both views have caught up. */
  start(): Promise<void> {
    for (const { name, stable } of this.view.experts()) this.seen.set(name, stable);
    this.stopFollowing = this.view.onChange((key, resource) => {
      if (key.startsWith(EXPERT_KEY))
        this.hasChanged(
          key.slice(EXPERT_KEY.length),
          resource?.value.case === 'expert' ? resource.value.value.stable : undefined,
        );
    });
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.stopFollowing?.();
    return Promise.resolve();
  }

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

  /** Whether some host has the version ready. */
  isReady(expert: string, version: string): boolean {
    return this.residency.hostsFor(expert, version).length > 0;
  }

  private hasChanged(expert: string, stable: string | undefined): void {
    const before = this.seen.get(expert);
    if (stable === undefined) {
      this.seen.delete(expert);
      this.answering.delete(expert);
      return;
    }
    this.seen.set(expert, stable);
    // What was ready until now goes on answering, whether it was asked for or not.
    if (before !== undefined && before !== stable) this.version(expert, before);
  }
}
