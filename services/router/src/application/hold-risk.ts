import { ThalamusError } from '@thalamus/errors';
import {
  checkTarget,
  heldRisk,
  holdRisk,
  riskPlan,
  stricterTarget,
  type DecisionResult,
  type ExploredDecision,
  type HeldRisk,
  type RiskTarget,
} from '@thalamus/routing';
import type { LoadedRouterModel } from './loaded-router-model.js';

/** The stricter of the bounds of a request and of a policy; undefined without any. @throws REQUEST_INVALID */
export function targetOf(
  asked: RiskTarget | undefined,
  policy: RiskTarget | undefined,
): RiskTarget | undefined {
  if (asked) checkTarget(asked);
  const target = stricterTarget(asked, policy);
  return target && { alpha: target.alpha, delta: target.delta };
}

/**
 * Puts the choice of the cheapest rule that keeps the bound first. The bound holds for predictions as the router model makes
 * them, among the experts that passed the filters. Nothing changes where none did.
 * @throws METHOD_UNSUPPORTED for a router model without measured rows, and as RiskControl does
 */
export async function holdBound(
  decision: DecisionResult,
  model: LoadedRouterModel,
  target: RiskTarget,
  { tenant, signal }: { readonly tenant: string; readonly signal: AbortSignal },
): Promise<ExploredDecision & { readonly risk: HeldRisk | undefined }> {
  const { name, version, candidates } = model.manifest;
  if (!model.risk)
    throw new ThalamusError(
      'METHOD_UNSUPPORTED',
      `The router model ${name}@${version} holds no measured rows to certify a bound on the risk by; train one with "thalamus router train" and activate it, or leave risk out (a policy may ask for it).`,
    );
  if (decision.ranked.length === 0) return { ...unexplored(decision), risk: undefined };
  const plan = riskPlan(decision.ranked, new Map(candidates.map(({ expert }, column) => [expert, column])));
  const rule = await model.risk.ruleFor({ tenant, plan, target }, signal);
  return { ...unexplored(holdRisk(decision, plan, rule)), risk: heldRisk(plan, rule) };
}

/** The rule alone decides. */
function unexplored(decision: DecisionResult): ExploredDecision {
  const shares = decision.ranked.map(({ candidate }, at) => [candidate.expert, at === 0 ? 1 : 0] as const);
  return { decision, propensities: new Map(shares) };
}
