import type { DecisionResult } from '../decide.js';
import { pick, type Picker } from './pick.js';

/** A decision whose first may have been picked by chance, and the probability with which each could have been, by expert. */
export interface ExploredDecision {
  readonly decision: DecisionResult;
  readonly propensities: ReadonlyMap<string, number>;
}

/**
 * Puts the expert that is picked first; the others stay in their order, for who asks the next best when it fails. Where nobody
 * passed the filters, or the router abstains, nothing is picked. The same seed picks the same. @throws REQUEST_INVALID
 */
export function explore(decision: DecisionResult, picker: Picker, seed: number): ExploredDecision {
  const { ranked, abstained } = decision;
  const own: Picker = abstained ? { kind: 'argmin' } : picker;
  if (ranked.length === 0) return { decision, propensities: new Map() };
  const picked = pick(
    ranked.map(({ total }) => total),
    own,
    seed,
  );
  const propensities = new Map(
    ranked.map(({ candidate }, at) => [candidate.expert, picked.propensities[at] ?? 0]),
  );
  const chosen = ranked[picked.index];
  if (picked.index === 0 || !chosen) return { decision, propensities };
  const share = (propensities.get(chosen.candidate.expert) ?? 0).toFixed(3);
  const ahead = (chosen.total - (ranked[0]?.total ?? 0)).toFixed(3);
  return {
    decision: {
      ...decision,
      ranked: [chosen, ...ranked.filter((item) => item !== chosen)],
      reason: `${chosen.candidate.expert} is explored, as policy allows, with probability ${share}; its total is ${ahead} above that of ${ranked[0]?.candidate.expert ?? ''}, the least.`,
    },
    propensities,
  };
}
