import { HTTP_HEADERS } from '@thalamus/contracts';
import { ERROR_CODES, type ErrorCode } from '@thalamus/errors';
import { z } from 'zod';
import { answers } from './answer-schemas.js';
import { classificationBody, embeddingBody, feedbackBody, routeBody } from './bodies.js';
import { EXAMPLES } from './openapi-examples.js';

/** What any request with a key can meet. */
const GUARDED: readonly ErrorCode[] = ['KEY_INVALID', 'RATE_LIMITED', 'EXPERT_OVERLOADED', 'INTERNAL'];
/** What any request with a body can meet. */
const WITH_BODY: readonly ErrorCode[] = [
  ...GUARDED,
  'REQUEST_INVALID',
  'REQUEST_TOO_LARGE',
  'MEDIA_TYPE_UNSUPPORTED',
];
/** What any request that asks another service can meet. */
const CALLING: readonly ErrorCode[] = [
  'DEADLINE_EXCEEDED',
  'CANCELLED',
  'UPSTREAM_UNAVAILABLE',
  'UPSTREAM_ERROR',
];
const ROUTING: readonly ErrorCode[] = [...CALLING, 'FLAG_INVALID', 'ROUTER_MODEL_NOT_FOUND'];
const RUNNING: readonly ErrorCode[] = [
  'EXPERT_NOT_FOUND',
  'PERMISSION_DENIED',
  'EXPERT_NOT_READY',
  'EXPERT_CRASHED',
  'INFERENCE_FAILED',
];

const PARAMETERS = {
  requestId: header(
    HTTP_HEADERS.requestId,
    'Id of the request, 1 to 128 of A-Z a-z 0-9 _ . : -; comes back in the header of the same name and in events. Default: a new one.',
    { type: 'string', pattern: '^[\\w.:-]{1,128}$' },
  ),
  timeout: header(
    HTTP_HEADERS.requestTimeoutMs,
    'Longest time that the caller waits, milliseconds. Default and ceiling: THALAMUS_REQUEST_TIMEOUT_MS.',
    { type: 'integer', minimum: 1 },
  ),
  flags: header(
    HTTP_HEADERS.flags,
    'Flags as text, such as "size=0.5, latency<100". Weaker than flags of the body, stronger than flags of the model name.',
    { type: 'string' },
  ),
};
const ANSWERED = {
  [HTTP_HEADERS.requestId]: text('Id of the request.'),
};
const EXPERT = {
  [HTTP_HEADERS.expert]: text('Who answered; several names when texts went to several experts.'),
  [HTTP_HEADERS.version]: text('The version that answered.'),
};
const DECISION = {
  [HTTP_HEADERS.decision]: text(
    'The router model that decided and what it predicts of the expert: zoo-router@1; loss=0.214; total=0.214. Absent when no one decided or several texts were sent.',
  ),
};

interface Operation {
  readonly id: string;
  readonly summary: string;
  readonly body?: z.ZodType;
  readonly answer: z.ZodType;
  readonly status?: '200' | '202';
  readonly errors: readonly ErrorCode[];
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly parameters?: readonly unknown[];
}

/** The OpenAPI 3.1 document, made of the schemas that check the bodies. */
export function openApiDocument() {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Thalamus',
      version: '0.1.0',
      description: [
        'Sends each prompt to the model that will do best at it under the caller’s constraints.',
        'Unknown paths answer 404 `RESOURCE_NOT_FOUND`, other methods 405 `METHOD_NOT_ALLOWED` with `Allow`,',
        'headers that are too large 431 `HEADERS_TOO_LARGE`. Unknown fields are errors.',
      ].join(' '),
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    paths: {
      ...askingPaths(),
      ...listingPaths(),
      '/openapi.json': open(
        get({ id: 'openApi', summary: 'This document.', answer: z.looseObject({}), errors: [] }),
      ),
      '/healthz': open(
        get({ id: 'health', summary: 'Whether the process is alive.', answer: answers.health, errors: [] }),
      ),
    },
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: 'API key, thk_...' } },
      schemas: { Error: jsonSchema(answers.error, 'output') },
    },
  };
}

function askingPaths() {
  const { requestId, timeout, flags } = PARAMETERS;
  return {
    '/v1/classifications': post({
      id: 'classify',
      summary: 'Classify texts with the best expert or a named one.',
      body: classificationBody,
      answer: answers.classifications,
      errors: [...WITH_BODY, ...ROUTING, ...RUNNING, 'NO_SUITABLE_EXPERT'],
      headers: { ...EXPERT, ...DECISION },
      parameters: [requestId, timeout, flags],
    }),
    '/v1/embeddings': post({
      id: 'embed',
      summary: 'Embed texts with a named expert.',
      body: embeddingBody,
      answer: answers.embeddings,
      errors: [...WITH_BODY, ...CALLING, ...RUNNING],
      headers: EXPERT,
      parameters: [requestId, timeout],
    }),
    '/v1/route': post({
      id: 'route',
      summary: 'Rank the experts for a text without running any.',
      body: routeBody,
      answer: answers.route,
      errors: [...WITH_BODY, ...ROUTING],
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

function listingPaths() {
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
      parameters: [
        {
          name: 'id',
          in: 'path',
          required: true,
          schema: { type: 'string' },
          description: 'auto or an expert.',
        },
        requestId,
      ],
    }),
  };
}

function post(operation: Operation) {
  const example = EXAMPLES[operation.id];
  const media = {
    schema: jsonSchema(operation.body ?? z.looseObject({}), 'input'),
    ...(example ? { examples: example } : {}),
  };
  const requestBody = { required: true, content: { 'application/json': media } };
  return { post: { ...common(operation), requestBody } };
}

function get(operation: Operation) {
  return { get: common(operation) };
}

function open<T extends { readonly get: object }>(item: T) {
  return { ...item, get: { ...item.get, security: [] } };
}

function common({ id, summary, answer, status = '200', errors, headers, parameters }: Operation) {
  const success = {
    description: 'The answer.',
    headers: { ...ANSWERED, ...headers },
    content: { 'application/json': { schema: jsonSchema(answer, 'output') } },
  };
  return {
    operationId: id,
    summary,
    ...(parameters ? { parameters } : {}),
    responses: { [status]: success, ...failures(errors) },
  };
}

/** Failures by HTTP status, each with the codes it stands for. */
function failures(codes: readonly ErrorCode[]) {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of [...new Set(codes)].sort()) {
    const { http } = ERROR_CODES[code];
    byStatus.set(http, [...(byStatus.get(http) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, listed]) => [
      String(status),
      {
        description: listed.map((code) => `\`${code}\`: ${ERROR_CODES[code].summary}`).join('\n'),
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
      },
    ]),
  );
}

function header(name: string, description: string, schema: object) {
  return { name, in: 'header', required: false, description, schema };
}

function text(description: string) {
  return { description, schema: { type: 'string' } };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output') {
  const document: Record<string, unknown> = { ...z.toJSONSchema(schema, { io }) };
  delete document['$schema'];
  return document;
}
