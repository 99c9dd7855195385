import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RouterManifest } from '@thalamus/bundle';
import type { routerV1 } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { CallContext, ServiceImplementation } from '@thalamus/grpc';
import { UNKNOWN_COST, type Candidate, type RankedCandidate } from '@thalamus/routing';
import type { RoutedPrompt, RoutePrompt } from '../../application/route-prompt.js';
import type { RouterModels } from '../../application/router-models.js';
import { inOrder } from './in-order.js';
import { flagsToMessages } from '../../domain/flag-messages.js';

const DEFAULT_TOP_K = 8;
/** Prompts of one stream that are at work at once. */
const STREAM_IN_FLIGHT = 32;

type RouteAnswer = MessageInitShape<typeof routerV1.RouteResponseSchema>;
type RankedMessage = MessageInitShape<typeof routerV1.RankedExpertSchema>;

/** thalamus.router.v1: decodes, routes, encodes. */
export class RouterGrpcService implements ServiceImplementation<typeof routerV1.RouterService> {
  constructor(
    private readonly routePrompt: RoutePrompt,
    private readonly models: RouterModels,
  ) {}

  async route(request: routerV1.RouteRequest, context: CallContext): Promise<RouteAnswer> {
    return answer(await this.routePrompt.run(request, context), request.topK);
  }

  /**
   * Answers come in the order of the prompts, of which several are at work at once, so that they share batches of the encoder. One
   * failed prompt is an answer of its own; the stream goes on.
   */
  async *routeStream(
    requests: AsyncIterable<routerV1.RouteStreamRequest>,
    context: CallContext,
  ): AsyncIterable<MessageInitShape<typeof routerV1.RouteStreamResponseSchema>> {
    yield* inOrder(requests, STREAM_IN_FLIGHT, ({ request }) => this.routeOne(request, context));
  }

  private async routeOne(
    request: routerV1.RouteRequest | undefined,
    context: CallContext,
  ): Promise<MessageInitShape<typeof routerV1.RouteStreamResponseSchema>> {
    const requestId = request?.requestId ?? '';
    try {
      const value = await this.route(needed(request), context);
      return { requestId, result: { case: 'response', value } };
    } catch (fault) {
      const { code, message } = toThalamusError(fault);
      return { requestId, result: { case: 'error', value: { code, message } } };
    }
  }

  async *explain(
    { request }: routerV1.ExplainRequest,
    context: CallContext,
  ): AsyncIterable<MessageInitShape<typeof routerV1.ExplainResponseSchema>> {
    const routed = await this.routePrompt.run(needed(request), context);
    yield { part: { case: 'summary', value: answer(routed, request?.topK ?? 0) } };
    yield { part: { case: 'basis', value: basisOf(routed.model.manifest) } };
    for (const ranked of routed.decision.ranked) {
      yield {
        part: {
          case: 'candidate',
          value: {
            expert: rankedMessage(ranked, routed),
            rejectedBy: '',
            properties: propertiesOf(ranked.candidate),
          },
        },
      };
    }
    for (const { candidate, filter, asRanked } of routed.decision.rejected) {
      const expert = asRanked
        ? rankedMessage(asRanked, routed)
        : { expert: candidate.expert, fittedVersion: candidate.fittedVersion ?? '' };
      yield {
        part: {
          case: 'candidate',
          value: { expert, rejectedBy: filter, properties: propertiesOf(candidate) },
        },
      };
    }
  }

  listRouterModels() {
    const models = this.models.all().map(({ manifest, digest }) => ({
      name: manifest.name,
      version: manifest.version,
      task: manifest.task,
      lossUnit: manifest.lossUnit,
      candidates: manifest.candidates.map(({ expert }) => expert),
      digest,
      encoderDigest: manifest.encoder.digest,
      evaluation: Object.fromEntries(
        manifest.evaluation.map(({ split, metric, value }) => [`${split}/${metric}`, value]),
      ),
    }));
    return Promise.resolve({ models });
  }
}

function needed(request: routerV1.RouteRequest | undefined): routerV1.RouteRequest {
  if (request) return request;
  throw new ThalamusError('REQUEST_INVALID', 'request is missing: it holds the prompt and its task.', {
    violations: [{ field: 'request', description: 'is missing' }],
  });
}

function answer(routed: RoutedPrompt, topK: number): RouteAnswer {
  const { decision, model, prediction } = routed;
  return {
    decision: {
      ranked: decision.ranked.slice(0, topK || DEFAULT_TOP_K).map((ranked) => rankedMessage(ranked, routed)),
      rejected: [...decision.rejections],
      abstained: decision.abstained,
      reason: decision.reason,
      routerModel: model.manifest.name,
      routerModelVersion: model.manifest.version,
      lossUnit: model.manifest.lossUnit,
      encoderDigest: model.manifest.encoder.digest,
      regionId: prediction.regionId,
      promptTokens: prediction.promptTokens,
      truncated: prediction.truncated,
      flags: flagsToMessages(routed.flags),
      outOfScopeScore: prediction.outOfScopeScore,
      ...(routed.risk ? { risk: routed.risk } : {}),
      ...(prediction.stage ? { decidingStage: prediction.stage } : {}),
    },
    registryRevision: routed.registryRevision,
    timings: [...routed.timings],
    strippedPrompt: routed.strippedPrompt,
  };
}

function rankedMessage(
  ranked: RankedCandidate,
  { propensities }: Pick<RoutedPrompt, 'propensities'>,
): RankedMessage {
  const { candidate, prediction } = ranked;
  return {
    expert: candidate.expert,
    fittedVersion: candidate.fittedVersion ?? '',
    inherited: candidate.fittedVersion !== candidate.version,
    predictedLoss: prediction.loss,
    rawLoss: prediction.raw,
    lossLow: prediction.low,
    lossHigh: prediction.high,
    costs: [...ranked.costs],
    total: ranked.total,
    propensity: propensities.get(candidate.expert) ?? 0,
    correction: prediction.correction ?? 0,
  };
}

function basisOf({
  costScales,
  verbalLevels,
  calibration: { abstention },
}: RouterManifest): MessageInitShape<typeof routerV1.DecisionBasisSchema> {
  return {
    costScales,
    verbalLevels,
    abstentionScore: abstention?.score ?? '',
    abstentionThreshold: abstention?.threshold ?? 0,
    unknownCost: UNKNOWN_COST,
  };
}

function propertiesOf(candidate: Candidate): Record<string, number> {
  return {
    ...candidate.properties,
    parameters: candidate.parameterCount,
    trust: candidate.trust,
    max_tokens: candidate.maxTokens,
  };
}
