import type { Composer, MadeComposition } from './composer.port.js';
import type { Build } from './composition-builds.js';
import { becomesTrue } from './in-time.js';
import type { RegisteredCompositions } from './registered-compositions.js';

/** How long after its registration this gateway may not have heard of a composition. */
const HEARD_WITHIN_MS = 10_000;

/** Limits of what is made. */
export interface MakingLimits {
  readonly timeToLiveS: number;
  readonly timeoutMs: number;
}

/**
 * Has a composition made, and ends when this gateway has heard of it as well: a request that comes in between would find neither
 * the build nor the composition, and begin anew.
 */
export function makeRegistered(
  composer: Composer,
  registered: Pick<RegisteredCompositions, 'byDigest'>,
  { timeToLiveS, timeoutMs }: MakingLimits,
) {
  return async ({ parents, tenant }: Build, signal: AbortSignal): Promise<MadeComposition> => {
    const made = await composer.compose(parents, timeToLiveS, { signal, deadlineMs: timeoutMs, tenant });
    const isHeard = () => registered.byDigest(made.recipeDigest) !== undefined;
    await becomesTrue(isHeard, { untilMs: Date.now() + HEARD_WITHIN_MS, signal });
    return made;
  };
}
