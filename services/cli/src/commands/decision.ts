/** A decision as the gateway writes it. */
export interface DecisionJson {
  readonly ranked: readonly {
    readonly expert: string;
    readonly predictedLoss: number;
    readonly lossLow: number;
    readonly lossHigh: number;
    readonly costs: readonly { readonly name: string; readonly value: number; readonly weight: number }[];
    readonly total: number;
  }[];
  readonly rejected: readonly { readonly filter: string; readonly count: number }[];
  readonly abstained: boolean;
  readonly reason: string;
  /** Bound on the risk that was held. */
  readonly risk?: unknown;
  /** Which stage of a cascade decided, and why. */
  readonly decidingStage?: { readonly stage: string; readonly reason: string };
  readonly lossUnit: string;
}

/** The parts that scripts use. */
export function shortDecision(decision: DecisionJson) {
  return {
    ranked: decision.ranked.map(({ expert, predictedLoss, costs, total }) => ({
      expert,
      predictedLoss,
      costs,
      total,
    })),
    rejected: decision.rejected.map(({ filter, count }) => ({ filter, count })),
    abstained: decision.abstained,
    reason: decision.reason,
    ...(decision.risk === undefined ? {} : { risk: decision.risk }),
    ...(decision.decidingStage === undefined ? {} : { decidingStage: decision.decidingStage }),
  };
}
