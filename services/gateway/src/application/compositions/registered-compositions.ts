import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { registryV1 } from '@thalamus/contracts';
import type { RegistryView, ResidencyView } from '@thalamus/registry';
import type { PinnedParent } from '../../domain/composition-name.js';

/** How long after its registration a composition may be unknown to every host. */
const LOADED_WITHIN_MS = 60_000;
const METHOD = 'twin';
/** A failed load is no news. */
const FAILED = 'failed';

/** What the registry and the hosts say of compositions. */
export class RegisteredCompositions {
  constructor(
    private readonly view: Pick<RegistryView, 'get' | 'version' | 'compositions' | 'experts'>,
    private readonly residency: Pick<ResidencyView, 'hostsFor' | 'hostsThatLoad' | 'all'>,
    private readonly now: () => number = Date.now,
  ) {}

  /** The composition of a recipe, while its expert is there. */
  byDigest(recipeDigest: string): PinnedParent | undefined {
    const value = this.view.get(`composition/${recipeDigest}`)?.value;
    return value?.case === 'composition' ? this.standing(value.value) : undefined;
  }

  /**
   * The newest composition of the same parents in the same versions by the same method: what to take when nobody can say which
   * recipe is meant.
   */
  byParents(parents: readonly PinnedParent[]): PinnedParent | undefined {
    const wanted = nameOf(parents.map(({ expert, version }) => `${expert}@${version}`));
    return this.view
      .compositions()
      .filter((item) => item.method === METHOD && nameOf(item.parents) === wanted)
      .sort((a, b) => madeAt(b) - madeAt(a))
      .map((item) => this.standing(item))
      .find((item) => item !== undefined);
  }

  /** Whether some host answers for it, now or by loading it. */
  isServed({ expert, version }: PinnedParent): boolean {
    return (
      this.residency.hostsFor(expert, version).length > 0 ||
      this.residency.hostsThatLoad(expert, version).length > 0
    );
  }

  /** Whether it may yet be served: it is new, and no host has failed to load it. */
  mayBeServed({ expert, version }: PinnedParent): boolean {
    const updatedAt = this.view.get(`version/${expert}@${version}`)?.updatedAt;
    if (!updatedAt || this.now() - timestampMs(updatedAt) > LOADED_WITHIN_MS) return false;
    return !this.residency
      .all()
      .some((item) => item.expert === expert && item.version === version && item.state === FAILED);
  }

  /** Experts that end unless they are used: so many that requests have had made are kept. */
  get kept(): number {
    return this.view.experts().filter(({ expiresAt }) => expiresAt !== undefined).length;
  }

  private standing({ expert, version }: PinnedParent): PinnedParent | undefined {
    return this.view.version(expert, version) ? { expert, version } : undefined;
  }
}

function nameOf(parents: readonly string[]): string {
  return [...parents].sort().join('+');
}

function madeAt({ createdAt }: registryV1.Composition): number {
  return createdAt ? timestampMs(createdAt) : 0;
}
