import { answers } from './answer-schemas.js';
import { classificationBody, embeddingBody, feedbackBody, routeBody } from './bodies.js';
import { chatBody, completionBody } from './chat-bodies.js';
import {
  CALLING,
  COMPOSING,
  COMPOSITION,
  DECISION,
  EXPERT,
  get,
  GUARDED,
  PARAMETERS,
  pathParameter,
  post,
  ROUTING,
  RUNNING,
  WITH_BODY,
} from './openapi-parts.js';

/** Paths that ask an expert or the router. */
export function askingPaths() {
  const { requestId, timeout, flags, conversation } = PARAMETERS;
  return {
    '/v1/classifications': post({
      id: 'classify',
      summary: 'Classify texts with the best expert or a named one.',
      body: classificationBody,
      answer: answers.classifications,
      errors: [...WITH_BODY, ...ROUTING, ...RUNNING, ...COMPOSING, 'NO_SUITABLE_EXPERT'],
      headers: { ...EXPERT, ...DECISION, ...COMPOSITION },
      parameters: [requestId, timeout, flags, conversation],
    }),
    '/v1/embeddings': post({
      id: 'embed',
      summary: 'Embed texts with a named expert.',
      body: embeddingBody,
      answer: answers.embeddings,
      errors: [...WITH_BODY, ...CALLING, ...RUNNING],
      headers: EXPERT,
      parameters: [requestId, timeout, conversation],
    }),
    '/v1/route': post({
      id: 'route',
      summary: 'Rank the experts for a text without running any.',
      body: routeBody,
      answer: answers.route,
      errors: [...WITH_BODY, ...ROUTING, 'EXPERT_NOT_FOUND', 'PERMISSION_DENIED'],
      headers: DECISION,
      parameters: [requestId, timeout, flags],
    }),
    '/v1/feedback': post({
      id: 'giveFeedback',
      summary: 'Say how good an answer was.',
      body: feedbackBody,
      answer: answers.feedback,
      status: '202',
      errors: WITH_BODY,
      parameters: [requestId],
    }),
  };
}

/** Paths of chat, in the form of OpenAI. */
export function chatPaths() {
  const common = {
    answer: answers.completion,
    events: {
      description:
        'With "stream": true: each event is a chunk as OpenAI has it, the last one is [DONE]. A failure after the first chunk is an event with an error object and nothing after it.',
    },
    errors: [...WITH_BODY, ...ROUTING, 'EXPERT_NOT_FOUND', 'PERMISSION_DENIED', 'NO_SUITABLE_EXPERT'],
    headers: { ...EXPERT, ...DECISION },
    parameters: [PARAMETERS.requestId, PARAMETERS.chatTimeout, PARAMETERS.flags, PARAMETERS.conversation],
  } as const;
  return {
    '/v1/chat/completions': post({
      ...common,
      id: 'chat',
      summary: 'Chat with the best remote model or a named one, streamed or whole.',
      body: chatBody,
    }),
    '/v1/completions': post({
      ...common,
      id: 'complete',
      summary: 'Complete one prompt with the best remote model or a named one, streamed or whole.',
      body: completionBody,
    }),
  };
}

/** Paths that list models. */
export function listingPaths() {
  const { requestId } = PARAMETERS;
  return {
    '/v1/models': get({
      id: 'listModels',
      summary: 'List the models that the caller may use.',
      answer: answers.models,
      errors: GUARDED,
      parameters: [requestId],
    }),
    '/v1/models/{id}': get({
      id: 'getModel',
      summary: 'Describe a model.',
      answer: answers.model,
      errors: [...GUARDED, 'REQUEST_INVALID', 'EXPERT_NOT_FOUND'],
      parameters: [pathParameter('id', 'auto or an expert.'), requestId],
    }),
  };
}
