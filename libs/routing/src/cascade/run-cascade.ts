import { addAnswer, valueOfAnswer, type CascadeModel, type ServiceAnswer } from './answer-posterior.js';

/** When another service is asked. */
export interface CascadeRule {
  /** Price of an answer of each service, in any one unit. */
  readonly prices: readonly number[];
  /** Share of right answers that a price of 1 must bring: a service is asked when its value exceeds lambda x price. */
  readonly lambda: number;
}

/** What a cascade came to. */
export interface CascadeOutcome {
  readonly label: number;
  /** Probability that the label is right, by the model. */
  readonly confidence: number;
  /** Services in the order in which they were asked. */
  readonly asked: readonly number[];
  readonly price: number;
}

/**
 * Asks one service after the other: always the one whose answer is worth most beyond its price, until none is worth it
 * (myopic value of information). One service is asked in any case: the best for its price. `ask` gives the answer of a service.
 */
export function runCascade(
  model: CascadeModel,
  rule: CascadeRule,
  ask: (service: number) => ServiceAnswer,
): CascadeOutcome {
  let posterior = model.prior;
  const asked: number[] = [];
  for (;;) {
    const next = bestNext(posterior, model, rule, asked);
    if (next === undefined) break;
    asked.push(next);
    posterior = addAnswer(posterior, model, next, ask(next));
  }
  const confidence = Math.max(...posterior);
  return {
    label: posterior.indexOf(confidence),
    confidence,
    asked,
    price: asked.reduce((sum, service) => sum + rule.prices[service]!, 0),
  };
}

function bestNext(
  posterior: Float64Array,
  model: CascadeModel,
  { prices, lambda }: CascadeRule,
  asked: readonly number[],
): number | undefined {
  let best: number | undefined;
  let most = asked.length === 0 ? -Infinity : 0;
  for (let service = 0; service < model.services.length; service++) {
    if (asked.includes(service)) continue;
    const gain = valueOfAnswer(posterior, model, service) - lambda * prices[service]!;
    if (gain <= most) continue;
    most = gain;
    best = service;
  }
  return best;
}
