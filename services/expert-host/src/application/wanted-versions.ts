import { registryV1 } from '@thalamus/contracts';
import type { RegistryView } from '@thalamus/registry';
import type { WarmVersions } from './warm-versions.js';

/** Which versions this host serves: what channels name, what is loaded by hand, and what answers until a new version is warm. */
export class WantedVersions {
  private readonly byHand = new Set<string>();
  private readonly unwanted = new Set<string>();

  constructor(
    private readonly view: RegistryView,
    private readonly warm: WarmVersions,
  ) {}

  /** Wants a version that no channel need name. */
  want(key: string): void {
    this.unwanted.delete(key);
    this.byHand.add(key);
  }

  /** Wants a version no more, whatever channels say. */
  refuse(key: string): void {
    this.unwanted.add(key);
    this.byHand.delete(key);
  }

  /** All of them that the registry knows and that run here, by expert@version. */
  all(): Map<string, registryV1.ExpertVersion> {
    const keys = new Set(this.byHand);
    const experts = this.view.experts();
    for (const { name, stable, candidate, shadow } of experts) {
      const before = this.warm.kept(name, stable);
      for (const number of [stable, candidate, shadow, ...before])
        if (number !== '') keys.add(`${name}@${number}`);
    }
    this.warm.retain(new Set(experts.map(({ name }) => name)));
    const wanted = new Map<string, registryV1.ExpertVersion>();
    for (const key of keys) {
      const [expert = '', number = ''] = key.split('@');
      const version = this.view.version(expert, number);
      if (version && version.kind !== registryV1.ExpertKind.UPSTREAM && !this.unwanted.has(key))
        wanted.set(key, version);
    }
    return wanted;
  }
}
