import { ThalamusError } from '@thalamus/errors';
import { createRandom } from '@thalamus/tensor';

/**
 * Who is taken of those that passed the filters. `argmin`: the first. `epsilon`: the first, but with probability epsilon any
 * of the pool alike. `softmax`: each of the pool with a probability that falls as exp(-total / temperature). `own`: with
 * probabilities of one's own, one for each total, that sum to 1.
 */
export type Picker =
  | { readonly kind: 'argmin' }
  | { readonly kind: 'epsilon'; readonly epsilon: number; readonly pool: ExplorationPool }
  | { readonly kind: 'softmax'; readonly temperature: number; readonly pool: ExplorationPool }
  | { readonly kind: 'own'; readonly propensities: (totals: readonly number[]) => readonly number[] };

/** Who may be explored: nobody that costs much more than the first. */
export interface ExplorationPool {
  /** Largest number, the first included. 1 or more. */
  readonly size: number;
  /** Largest total above the first's, in the loss unit. 0 or more. */
  readonly within: number;
}

/** A choice with the probabilities that it was made by: what an estimate from logged choices divides by. */
export interface Picked {
  /** Place in the ranking. */
  readonly index: number;
  /** Of every place; they sum to 1. */
  readonly propensities: readonly number[];
}

/**
 * Picks from totals that never fall, the best first. The same seed picks the same; policy decides whether there is a seed to
 * pick by at all, by giving a picker other than `argmin`. REQUEST_INVALID without totals, or for a picker out of its range.
 */
export function pick(totals: readonly number[], picker: Picker, seed: number): Picked {
  if (totals.length === 0) throw refused('there is nobody to pick from');
  const propensities = propensitiesOf(totals, picker);
  let left = createRandom(seed).next();
  const index = propensities.findIndex((share) => (left -= share) < 0);
  // Shares may sum to a rounding less than 1.
  return { index: index < 0 ? 0 : index, propensities };
}

function propensitiesOf(totals: readonly number[], picker: Picker): number[] {
  const first = totals[0]!;
  if (picker.kind === 'argmin') return totals.map((_, at) => (at === 0 ? 1 : 0));
  if (picker.kind === 'own') return checked([...picker.propensities(totals)], totals.length);
  const { size, within } = picker.pool;
  if (!(size >= 1 && within >= 0)) throw refused(`a pool of ${size} within ${within} holds nobody`);
  const inPool = (at: number) => at === 0 || (at < Math.floor(size) && totals[at]! - first <= within);
  const count = totals.filter((_, at) => inPool(at)).length;
  if (picker.kind === 'epsilon') {
    const { epsilon } = picker;
    if (!(epsilon >= 0 && epsilon <= 1)) throw refused(`epsilon is ${epsilon}; give a probability`);
    return totals.map((_, at) => (inPool(at) ? epsilon / count : 0) + (at === 0 ? 1 - epsilon : 0));
  }
  const { temperature } = picker;
  if (!(temperature > 0)) throw refused(`the temperature is ${temperature}; give one above 0`);
  const shares = totals.map((total, at) => (inPool(at) ? Math.exp((first - total) / temperature) : 0));
  const sum = shares.reduce((all, share) => all + share, 0);
  return shares.map((share) => share / sum);
}

function checked(shares: number[], count: number): number[] {
  const sum = shares.reduce((all, share) => all + share, 0);
  if (shares.length === count && shares.every((share) => share >= 0) && Math.abs(sum - 1) < 1e-9)
    return shares;
  throw refused(`${shares.length} probabilities that sum to ${sum} do not fit ${count} experts`);
}

/** Seed of a request: FNV-1a over the UTF-16 units of its id, so that a request that is sent again picks the same. */
export function pickSeed(requestId: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < requestId.length; at++) hash = Math.imul(hash ^ requestId.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

function refused(reason: string): ThalamusError {
  return new ThalamusError('REQUEST_INVALID', `Picking an expert: ${reason}.`);
}
