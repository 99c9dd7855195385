import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { PinnedParent } from '../../domain/composition-name.js';
import type { CheckedRecipe, Composer } from './composer.port.js';
import { isRefusal } from './refusals.js';
import { RecentFailures } from './recent-failures.js';

/** Digests that are remembered; of more, the one that was learned first is forgotten. */
const MAX_DIGESTS = 4_000;
/** Checks at once. */
const MAX_CHECKS = 64;
/** A check reads the registry and some manifests. */
const CHECK_MS = 5_000;
/** How long a composer that does not answer is left alone: a check is no work. */
const AWAY_MS = 1_000;

/** Has the composer say which recipe parents make, once for all requests that ask. */
export class CheckRecipes {
  private readonly digests = new Map<string, string>();
  private readonly checks = new Map<string, Promise<string>>();
  private readonly refusals: RecentFailures;
  private readonly faults: RecentFailures;
  private readonly aborter = new AbortController();

  constructor(
    private readonly composer: Composer,
    rememberMs: number,
    now: () => number = Date.now,
  ) {
    this.refusals = new RecentFailures(rememberMs, now);
    this.faults = new RecentFailures(AWAY_MS, now);
  }

  /**
   * The recipe digest of parents.
   * @throws COMPOSITION_REFUSED that names each obstacle, and what the composer says
   */
  async digest(key: string, parents: readonly PinnedParent[], tenant: string): Promise<string> {
    const known = this.digests.get(key);
    if (known !== undefined) return known;
    const failure = this.refusals.get(key) ?? this.faults.get(key);
    if (failure) throw failure;
    const running = this.checks.get(key);
    if (running) return running;
    if (this.checks.size >= MAX_CHECKS)
      throw new ThalamusError('EXPERT_OVERLOADED', `${MAX_CHECKS} compositions are being checked already.`);
    const check = this.check(key, parents, tenant).finally(() => this.checks.delete(key));
    this.checks.set(key, check);
    return check;
  }

  /** Takes over what a build has said. */
  learn(key: string, digest: string): void {
    this.digests.delete(key);
    this.digests.set(key, digest);
    const oldest = this.digests.keys().next();
    if (this.digests.size > MAX_DIGESTS && !oldest.done) this.digests.delete(oldest.value);
  }

  /** Ends checks under way. */
  close(): void {
    this.aborter.abort();
  }

  private async check(key: string, parents: readonly PinnedParent[], tenant: string): Promise<string> {
    try {
      const call = { signal: this.aborter.signal, deadlineMs: CHECK_MS, tenant };
      const recipe = await this.composer.preflight(parents, call);
      refuseObstacles(recipe);
      this.learn(key, recipe.recipeDigest);
      return recipe.recipeDigest;
    } catch (fault) {
      const error = toThalamusError(fault);
      (isRefusal(error) ? this.refusals : this.faults).add(key, error);
      throw error;
    }
  }
}

function refuseObstacles({ obstacles }: CheckedRecipe): void {
  if (obstacles.length === 0) return;
  const list = obstacles.map(({ parent, description }) => `${parent || 'the parents'} ${description}`);
  throw new ThalamusError('COMPOSITION_REFUSED', `These experts cannot be composed: ${list.join(' ')}`, {
    violations: list.map((description) => ({ field: 'model', description })),
  });
}
