import { Controller, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import { ThalamusError } from '@thalamus/errors';
import { mergeFlags } from '@thalamus/routing';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { UseCases } from '../../application/use-cases.js';
import { usedByAll } from '../../domain/composition-use.js';
import { AUTO_MODEL, classificationJson, decisionJson, embeddingsJson, modelJson } from './answers.js';
import { classificationBody, embeddingBody, feedbackBody, flagsOf, routeBody } from './bodies.js';
import { headerFlags, nameComposition, nameDecision, nameExperts } from './headers.js';
import { readBody } from './read-body.js';
import { callerScope } from './request-scopes.js';

/** Nest token of the use cases. */
export const USE_CASES = Symbol('thalamus.gateway.use-cases');

/** The HTTP API: reads bodies, calls use cases, writes answers. */
@Controller('/v1')
export class V1Controller {
  constructor(@Inject(USE_CASES) private readonly useCases: UseCases) {}

  @Post('/classifications')
  @HttpCode(200)
  async classify(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    const body = readBody(classificationBody, request.body);
    const scope = callerScope(request);
    const texts = typeof body.input === 'string' ? [body.input] : body.input;
    const flags = mergeFlags(flagsOf(body.flags, body.thalamus?.flags), headerFlags(request));
    const wish = { model: body.model, flags, topLabels: body.top };
    const answers = await this.useCases.classifyText.runAll(texts, wish, scope);
    const promptTokens = answers.reduce((sum, answer) => sum + answer.promptTokens, 0);
    nameExperts(reply, answers);
    const composition = usedByAll(answers);
    if (composition) nameComposition(reply, composition);
    const [only, ...others] = answers;
    if (only?.decision && others.length === 0) nameDecision(reply, only.decision, only.expert);
    return {
      id: scope.requestId,
      object: 'list',
      model: body.model,
      data: answers.map((answer, index) =>
        classificationJson(answer, index, body.thalamus?.decision ?? false),
      ),
      usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
      ...(composition ? { thalamus: { composition } } : {}),
    };
  }

  @Post('/embeddings')
  @HttpCode(200)
  async embed(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    const body = readBody(embeddingBody, request.body);
    const inputs = typeof body.input === 'string' ? [body.input] : body.input;
    const answer = await this.useCases.embedTexts.run({ inputs, model: body.model }, callerScope(request));
    nameExperts(reply, [answer]);
    return embeddingsJson(answer, body.encoding_format);
  }

  @Post('/route')
  @HttpCode(200)
  async route(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    const body = readBody(routeBody, request.body);
    const scope = callerScope(request);
    const flags = mergeFlags(flagsOf(body.flags), headerFlags(request));
    const { input: prompt, model, task, top_k: topK, risk } = body;
    const wish = { prompt, model, task, flags, topK, ...(risk ? { risk } : {}) };
    const routed = await this.useCases.rankExperts.run(wish, scope);
    nameDecision(reply, routed.decision, routed.decision.ranked[0]?.expert ?? '');
    return {
      id: scope.requestId,
      object: 'decision',
      ...(decisionJson(routed.decision) as object),
      timings_ms: Object.fromEntries(routed.timings.map(({ stage, durationMs }) => [stage, durationMs])),
    };
  }

  @Post('/feedback')
  @HttpCode(202)
  feedback(@Req() request: FastifyRequest) {
    const { request_id: requestId, score, label = '' } = readBody(feedbackBody, request.body);
    const id = this.useCases.recordOutcome.feedback({ requestId, score, label }, callerScope(request));
    return { id, object: 'feedback', request_id: requestId };
  }

  @Get('/models')
  models(@Req() request: FastifyRequest) {
    const experts = this.useCases.listExperts.run(callerScope(request).caller);
    return {
      object: 'list',
      data: [AUTO_MODEL, ...experts.map(({ expert, stable }) => modelJson(expert, stable))],
    };
  }

  @Get('/models/:id')
  model(@Param('id') id: string, @Req() request: FastifyRequest) {
    const { caller } = callerScope(request);
    if (id === AUTO_MODEL.id) return AUTO_MODEL;
    const found = this.useCases.listExperts.run(caller).find(({ expert }) => expert.name === id);
    if (!found)
      throw new ThalamusError(
        'EXPERT_NOT_FOUND',
        `No model "${id.slice(0, 64)}" exists; GET /v1/models lists them.`,
        { violations: [{ field: 'id', description: 'unknown expert' }] },
      );
    return modelJson(found.expert, found.stable);
  }
}
