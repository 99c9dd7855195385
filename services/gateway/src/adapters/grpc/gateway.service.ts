import type { MessageInitShape } from '@bufbuild/protobuf';
import { isTask, type gatewayV1 } from '@thalamus/contracts';
import type { CallContext, ServiceImplementation } from '@thalamus/grpc';
import type { UseCases } from '../../application/use-cases.js';
import { flagsFromMessages } from '../../domain/flag-messages.js';
import { isAnsweredId, isRequestId, REQUEST_ID_RULE } from '../../domain/request-id.js';
import { invalid, needText } from '../../domain/texts.js';
import type { CallScopes } from './call-scopes.js';

const DEFAULT_LABELS = 5;
const MAX_TEXTS = 256;
const MAX_LABEL = 512;
const CLASSIFY = { operation: 'classifications', task: 'text-classification' } as const;
const EMBED = { operation: 'embeddings', task: 'feature-extraction' } as const;

type RouteAnswer = MessageInitShape<typeof gatewayV1.RouteResponseSchema>;
type ClassifyAnswer = MessageInitShape<typeof gatewayV1.ClassifyResponseSchema>;

/** thalamus.gateway.v1: the typed front door. */
export class GatewayGrpcService implements ServiceImplementation<typeof gatewayV1.GatewayService> {
  constructor(
    private readonly useCases: UseCases,
    private readonly scopes: CallScopes,
  ) {}

  classify(request: gatewayV1.ClassifyRequest, context: CallContext): Promise<ClassifyAnswer> {
    return this.scopes.run(context, { requestId: request.requestId, operation: CLASSIFY }, async (scope) => {
      needRequestId(request.requestId);
      needText(request.input, 'input');
      const wish = {
        input: request.input,
        model: request.model || 'auto',
        flags: flagsFromMessages(request.flags),
        topLabels: request.topLabels || DEFAULT_LABELS,
      };
      const answer = await this.useCases.classifyText.run(wish, scope);
      return {
        requestId: scope.requestId,
        expert: answer.expert,
        version: answer.version,
        scores: [...answer.scores],
        timingsMs: { ...answer.timingsMs },
        truncated: answer.truncated,
        promptTokens: answer.promptTokens,
        ...(answer.decision ? { decision: answer.decision } : {}),
        ...(answer.composition ? { composition: answer.composition } : {}),
      };
    });
  }

  embed(request: gatewayV1.EmbedRequest, context: CallContext) {
    return this.scopes.run(context, { requestId: '', operation: EMBED }, async (scope) => {
      const { inputs, model } = request;
      if (inputs.length === 0 || inputs.length > MAX_TEXTS)
        throw invalid('inputs', `must hold 1 to ${MAX_TEXTS} texts`);
      inputs.forEach((text, index) => {
        needText(text, `inputs[${index}]`);
      });
      const { vectors, expert, version, promptTokens } = await this.useCases.embedTexts.run(
        { inputs, model },
        scope,
      );
      const embeddings = vectors.map((vector) => ({ values: Array.from(vector) }));
      return { embeddings, expert, version, promptTokens };
    });
  }

  route(request: gatewayV1.RouteRequest, context: CallContext): Promise<RouteAnswer> {
    const task = request.task || CLASSIFY.task;
    const operation = { operation: 'route', task: isTask(task) ? task : '' };
    return this.scopes.run(context, { requestId: request.requestId, operation }, async (scope) => {
      needRequestId(request.requestId);
      needText(request.input, 'input');
      const wish = {
        prompt: request.input,
        model: request.model || 'auto',
        task,
        flags: flagsFromMessages(request.flags),
        topK: request.topK,
        ...(request.risk ? { risk: request.risk } : {}),
      };
      const { decision, timings } = await this.useCases.rankExperts.run(wish, scope);
      const timingsMs = Object.fromEntries(timings.map(({ stage, durationMs }) => [stage, durationMs]));
      return { requestId: scope.requestId, decision, timingsMs };
    });
  }

  giveFeedback(request: gatewayV1.GiveFeedbackRequest, context: CallContext) {
    return this.scopes.run(context, { requestId: request.requestId }, (scope) => {
      const { requestId, score, label } = request;
      if (!isAnsweredId(requestId)) throw invalid('request_id', REQUEST_ID_RULE);
      if (label.length > MAX_LABEL) throw invalid('label', `must have at most ${MAX_LABEL} characters`);
      if (score === undefined && label === '') throw invalid('score', 'a score or a label is needed');
      if (score !== undefined && !(score >= 0 && score <= 1)) throw invalid('score', 'must be from 0 to 1');
      const eventId = this.useCases.recordOutcome.feedback({ requestId, score, label }, scope);
      return Promise.resolve({ eventId });
    });
  }
}

/** An id is repeated in the answer, so one that cannot be is refused; empty: one is made. */
function needRequestId(requestId: string): void {
  if (requestId !== '' && !isRequestId(requestId)) throw invalid('request_id', REQUEST_ID_RULE);
}
