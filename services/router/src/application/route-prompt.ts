import {
  ATTRIBUTES,
  isTask,
  MAX_PROMPT_BYTES,
  METRICS,
  TASKS,
  type registryV1,
  type routerV1,
} from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { CallContext } from '@thalamus/grpc';
import type { RegistryView } from '@thalamus/registry';
import {
  decide,
  defaultFlags,
  explore,
  limitsOf,
  mergeFlags,
  pickSeed,
  stripFlagTags,
  weightsOf,
  type DecisionResult,
  type Flag,
  type HeldRisk,
  type Picker,
  type RouteConstraints,
} from '@thalamus/routing';
import { counter, histogram, withSpan } from '@thalamus/telemetry';
import { randomUUID } from 'node:crypto';
import { flagsFromMessages } from '../domain/flag-messages.js';
import type { Candidates } from './candidates.js';
import { holdBound, targetOf } from './hold-risk.js';
import type { LoadedRouterModel, PromptPrediction } from './loaded-router-model.js';
import type { CorrectionView } from './online/correction-view.js';
import type { RouterModels } from './router-models.js';

/** A decided prompt with everything that is said of it. */
export interface RoutedPrompt {
  readonly model: LoadedRouterModel;
  readonly prediction: PromptPrediction;
  readonly decision: DecisionResult;
  /** Probability with which each was put first, by expert. */
  readonly propensities: ReadonlyMap<string, number>;
  /** Bound on the risk that was held. */
  readonly risk: HeldRisk | undefined;
  readonly flags: readonly Flag[];
  readonly strippedPrompt: string;
  readonly registryRevision: bigint;
  readonly timings: readonly { readonly stage: string; readonly durationMs: number }[];
}

/** What decisions take from the traffic before them. */
export interface OnlineParts {
  readonly corrections: CorrectionView;
  /** By how much another expert has to be better to take a conversation over, in the loss unit. */
  readonly stayMargin: number;
}

/** Routes one prompt: check, strip flags, encode and predict, filter, weigh, rank. */
export class RoutePrompt {
  private readonly decisions = counter(METRICS.decisions);
  private readonly duration = histogram(METRICS.decisionDuration);

  constructor(
    private readonly models: RouterModels,
    private readonly candidates: Candidates,
    private readonly view: RegistryView,
    private readonly online: OnlineParts,
  ) {}

  run(request: routerV1.RouteRequest, context: CallContext): Promise<RoutedPrompt> {
    return withSpan('route', { attributes: { [ATTRIBUTES.task]: request.task } }, async (span) => {
      const startedAt = performance.now();
      const routed = await this.route(request, context);
      const { decision } = routed;
      span.setAttributes({
        [ATTRIBUTES.candidates]: decision.ranked.length + decision.rejected.length,
        [ATTRIBUTES.abstained]: decision.abstained,
        [ATTRIBUTES.reason]: decision.reason,
        ...(decision.ranked[0]
          ? {
              [ATTRIBUTES.expertName]: decision.ranked[0].candidate.expert,
              [ATTRIBUTES.predictedLoss]: decision.ranked[0].prediction.loss,
            }
          : {}),
      });
      this.decisions.add(1, { [ATTRIBUTES.task]: request.task, ...endOf(routed) });
      this.duration.record((performance.now() - startedAt) / 1000, { [ATTRIBUTES.task]: request.task });
      return routed;
    });
  }

  private async route(request: routerV1.RouteRequest, context: CallContext): Promise<RoutedPrompt> {
    check(request);
    await this.view.waitForRevision(request.minRegistryRevision, context.signal);
    const tagged = stripFlagTags(request.prompt);
    if (tagged.prompt.trim() === '') throw invalid('prompt', 'is empty once its flag tags are taken off');
    const wished = mergeFlags(flagsFromMessages(request.flags), tagged.flags);
    const model = this.models.forTask(request.task);
    const { manifest } = model;
    const policy = this.view.policy(request.tenant);
    const flags = mergeFlags(wished, defaultFlags(policy?.defaultWeights ?? {}, manifest.costScales));
    const weights = weightsOf(flags, manifest.verbalLevels, manifest.costScales);
    const target = targetOf(request.risk, policy?.risk);
    const constraints = constraintsOf(request, flags, policy);
    const options = { signal: context.signal, deadlineAtMs: context.deadlineAtMs, tenant: request.tenant };
    const prediction = await model.predict(tagged.prompt, options);
    const startedAt = performance.now();
    const candidates = this.candidates.list(
      new Map(manifest.candidates.map(({ expert, version }) => [expert, version])),
    );
    const ranked = decide({
      candidates,
      constraints,
      predictions: this.online.corrections.correct(prediction.predictions, candidates, {
        routerModel: `${manifest.name}@${manifest.version}`,
        region: prediction.regionId,
        tenant: request.tenant,
      }),
      current: currentOf(request, this.online.stayMargin),
      weights,
      scales: manifest.costScales,
      ...(prediction.outOfScope
        ? { outOfScope: outOfScopeReason(prediction, manifest.calibration.abstention?.threshold ?? 0) }
        : {}),
    });
    const { decision, risk, propensities } = target
      ? await holdBound(ranked, model, target, options)
      : { ...explore(ranked, pickerOf(request, policy?.exploration), seedOf(request)), risk: undefined };
    const { tokeniseMs, encodeMs, predictMs } = prediction.timings;
    const timings = [
      { stage: 'queue', durationMs: prediction.queueMs },
      { stage: 'tokenise', durationMs: tokeniseMs },
      { stage: 'encode', durationMs: encodeMs },
      { stage: 'predict', durationMs: predictMs },
      { stage: 'decide', durationMs: performance.now() - startedAt },
    ];
    return {
      model,
      prediction,
      decision,
      risk,
      propensities,
      flags,
      strippedPrompt: tagged.prompt,
      registryRevision: this.view.revision,
      timings,
    };
  }
}

/** How a decision ended, and for whom. */
function endOf({ decision, prediction }: RoutedPrompt): Record<string, string> {
  if (decision.abstained)
    return {
      [ATTRIBUTES.outcome]: prediction.outOfScope ? 'out_of_scope' : 'abstained',
      [ATTRIBUTES.expertName]: '',
    };
  return {
    [ATTRIBUTES.outcome]: 'routed',
    [ATTRIBUTES.expertName]: decision.ranked[0]?.candidate.expert ?? '',
  };
}

/** Nobody but the best, unless policy allows it; a conversation keeps its expert. */
function pickerOf(
  { currentExpert }: routerV1.RouteRequest,
  exploration: registryV1.Exploration | undefined,
): Picker {
  if (!exploration || currentExpert !== '') return { kind: 'argmin' };
  const { epsilon, pool, within } = exploration;
  return { kind: 'epsilon', epsilon, pool: { size: pool, within } };
}

/** A request that is sent again under its id is picked for as before. */
function seedOf({ requestId }: routerV1.RouteRequest): number {
  return pickSeed(requestId === '' ? randomUUID() : requestId);
}

function check(request: routerV1.RouteRequest): void {
  if (request.task === '') throw invalid('task', `is empty; it is one of ${TASKS.join(', ')}`);
  if (!isTask(request.task))
    throw invalid('task', `"${request.task}" is unknown; it is one of ${TASKS.join(', ')}`);
  if (request.prompt.trim() === '') throw invalid('prompt', 'is empty');
  const bytes = Buffer.byteLength(request.prompt);
  if (bytes > MAX_PROMPT_BYTES)
    throw new ThalamusError(
      'REQUEST_TOO_LARGE',
      `The prompt has ${bytes} bytes; at most ${MAX_PROMPT_BYTES} are taken.`,
    );
}

function currentOf({ currentExpert: expert }: routerV1.RouteRequest, margin: number) {
  return expert === '' ? undefined : { expert, margin };
}

function constraintsOf(
  request: routerV1.RouteRequest,
  flags: readonly Flag[],
  policy:
    | RouteConstraints['policy']
    | {
        readonly maxParameters: bigint;
        readonly allowedExperts: string[];
        readonly allowedLicences: string[];
        readonly minTrust: number;
      },
): RouteConstraints {
  return {
    task: request.task,
    tenant: request.tenant,
    contextTokens: request.contextTokens,
    experts: request.experts,
    limits: limitsOf(flags),
    policy: policy && {
      allowedExperts: policy.allowedExperts,
      allowedLicences: policy.allowedLicences,
      minTrust: policy.minTrust,
      maxParameters: Number(policy.maxParameters),
    },
  };
}

function outOfScopeReason(prediction: PromptPrediction, threshold: number): string {
  return `No expert is known to fit: the out-of-scope score of the prompt is ${prediction.outOfScopeScore.toFixed(3)}, above the threshold of ${threshold.toFixed(3)}.`;
}

function invalid(field: string, reason: string): ThalamusError {
  return new ThalamusError('REQUEST_INVALID', `${field} ${reason}.`, {
    violations: [{ field, description: reason }],
  });
}
