import { Controller, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import { toThalamusError } from '@thalamus/errors';
import { mergeFlags, type Flag } from '@thalamus/routing';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ChatChoice, ChatWish, CompleteChat } from '../../application/chat/complete-chat.js';
import { contextOfChat } from '../../domain/chat-context.js';
import { promptOfMessages, replacePrompt } from '../../domain/chat-prompt.js';
import { decisionJson } from './answers.js';
import { flagsOf } from './bodies.js';
import { chatBody, completionBody } from './chat-bodies.js';
import { headerFlags, nameDecision, nameExperts } from './headers.js';
import { errorJson } from './http-error.filter.js';
import { readBody } from './read-body.js';
import { callerScope, scopeOf } from './request-scopes.js';
import { sendEvents } from './send-events.js';

/** Nest token of the chat use case. */
export const COMPLETE_CHAT = Symbol('thalamus.gateway.complete-chat');

interface Options {
  readonly stream: boolean;
  readonly withUsage: boolean;
  readonly withDecision: boolean;
}

/** Chat in the form of OpenAI: read the body, call the use case, write the answer. */
@Controller('/v1')
export class ChatController {
  constructor(@Inject(COMPLETE_CHAT) private readonly completeChat: CompleteChat) {}

  @Post('/chat/completions')
  @HttpCode(200)
  chat(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { model, stream, thalamus, messages, ...rest } = readBody(chatBody, request.body);
    const prompt = promptOfMessages(messages);
    const wish: ChatWish = {
      operation: 'chat/completions',
      model,
      prompt,
      context: contextOfChat(messages, rest.tools ?? []),
      currentExpert: thalamus?.current_expert,
      flags: wishedFlags(thalamus?.flags, request),
      body: (stripped) => ({ ...rest, messages: replacePrompt(messages, prompt, stripped) }),
    };
    return this.answer(wish, optionsOf(stream, rest.stream_options, thalamus), request, reply);
  }

  @Post('/completions')
  @HttpCode(200)
  complete(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { model, stream, thalamus, prompt, ...rest } = readBody(completionBody, request.body);
    const wish: ChatWish = {
      operation: 'completions',
      model,
      prompt,
      currentExpert: thalamus?.current_expert,
      flags: wishedFlags(thalamus?.flags, request),
      body: (stripped) => ({ ...rest, prompt: stripped }),
    };
    return this.answer(wish, optionsOf(stream, rest.stream_options, thalamus), request, reply);
  }

  private async answer(
    wish: ChatWish,
    options: Options,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<void> {
    const scope = callerScope(request);
    if (!options.stream) {
      const { answer, costUsd, ...choice } = await this.completeChat.run(wish, scope);
      nameChoice(reply, choice);
      const body = options.withDecision
        ? JSON.stringify({ ...answer.body, thalamus: { ...choiceJson(choice), costUsd } })
        : answer.text;
      await reply.type('application/json').send(body);
      return;
    }
    const { events, costUsd, ...choice } = await this.completeChat.stream(wish, scope);
    nameChoice(reply, choice);
    const tail = options.withDecision
      ? () => JSON.stringify({ object: 'thalamus.decision', ...choiceJson(choice), costUsd: costUsd() })
      : undefined;
    await sendEvents(reply, visible(events, options.withUsage), {
      signal: scope.signal,
      tail,
      onFault: (fault) => {
        const error = toThalamusError(fault);
        scopeOf(request)?.fail(error);
        return JSON.stringify(errorJson(error, scope.requestId));
      },
    });
  }
}

/** Usage is asked of every upstream, for the cost; callers see it when they asked for it themselves. */
async function* visible(
  events: AsyncIterable<{ readonly data: string; readonly usageOnly: boolean }>,
  withUsage: boolean,
): AsyncGenerator<string> {
  for await (const { data, usageOnly } of events) if (withUsage || !usageOnly) yield data;
}

function optionsOf(
  stream: boolean | null | undefined,
  streamOptions: { include_usage?: boolean | undefined } | null | undefined,
  thalamus: { decision: boolean } | undefined,
): Options {
  return {
    stream: stream === true,
    withUsage: streamOptions?.include_usage === true,
    withDecision: thalamus?.decision === true,
  };
}

function wishedFlags(body: Parameters<typeof flagsOf>[0], request: FastifyRequest): Flag[] {
  return mergeFlags(flagsOf(body), headerFlags(request));
}

function nameChoice(reply: FastifyReply, choice: ChatChoice): void {
  nameExperts(reply, [choice]);
  if (choice.decision) nameDecision(reply, choice.decision, choice.expert);
}

function choiceJson({ expert, version, decision }: ChatChoice) {
  return { expert, version, ...(decision ? { decision: decisionJson(decision) } : {}) };
}
