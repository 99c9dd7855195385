import { ERROR_CODES } from '@thalamus/errors';
import { z } from 'zod';
import { classificationBody, embeddingBody, feedbackBody, routeBody } from './bodies.js';

const errorBody = z
  .strictObject({
    error: z.strictObject({
      message: z.string().describe('What is wrong, where, and what to do.'),
      type: z.string(),
      param: z.string().nullable().describe('The faulty field.'),
      code: z.enum(Object.keys(ERROR_CODES) as [string, ...string[]]),
      request_id: z.string().nullable(),
    }),
  })
  .meta({ id: 'Error' });

const scores = z.array(z.object({ label: z.string(), score: z.number() }));
const decision = z
  .looseObject({
    ranked: z.array(
      z.looseObject({
        expert: z.string(),
        predictedLoss: z.number(),
        total: z.number(),
        costs: z.array(z.looseObject({ name: z.string() })),
      }),
    ),
    rejected: z.array(z.looseObject({ filter: z.string(), count: z.number() })),
    abstained: z.boolean(),
    reason: z.string(),
  })
  .describe('thalamus.router.v1.Decision in proto3 JSON.');
const usage = z.object({ prompt_tokens: z.int(), total_tokens: z.int() });
const milliseconds = z.record(z.string(), z.number()).describe('Milliseconds by stage.');

const answers = {
  classifications: z.object({
    id: z.string(),
    object: z.literal('list'),
    model: z.string(),
    data: z.array(
      z.object({
        object: z.literal('classification'),
        index: z.int(),
        expert: z.string(),
        version: z.string(),
        label: z.string().nullable(),
        scores,
        truncated: z.boolean(),
        decision: decision.optional(),
        timings_ms: milliseconds,
      }),
    ),
    usage,
  }),
  embeddings: z.object({
    object: z.literal('list'),
    data: z.array(
      z.object({
        object: z.literal('embedding'),
        index: z.int(),
        embedding: z.union([z.array(z.number()), z.string()]),
      }),
    ),
    model: z.string(),
    usage,
  }),
  route: decision,
  feedback: z.object({ id: z.string(), object: z.literal('feedback'), request_id: z.string() }),
  model: z.looseObject({
    id: z.string(),
    object: z.literal('model'),
    created: z.int(),
    owned_by: z.string(),
  }),
};

/** The OpenAPI 3.1 document, made of the schemas that check the bodies. */
export function openApiDocument() {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Thalamus',
      version: '0.1.0',
      description: 'Sends each prompt to the model that will do best at it under the caller’s constraints.',
    },
    security: [{ bearer: [] }],
    paths: {
      '/v1/classifications': post(
        'Classify texts with the best expert or a named one.',
        classificationBody,
        answers.classifications,
      ),
      '/v1/embeddings': post('Embed texts with a named expert.', embeddingBody, answers.embeddings),
      '/v1/route': post('Rank the experts for a text without running any.', routeBody, answers.route),
      '/v1/feedback': post('Say how good an answer was.', feedbackBody, answers.feedback, '202'),
      '/v1/models': get(
        'List the models.',
        z.object({ object: z.literal('list'), data: z.array(answers.model) }),
      ),
      '/v1/models/{id}': {
        parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
        ...get('Describe a model.', answers.model),
      },
    },
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: 'API key, thk_...' } },
      schemas: { Error: jsonSchema(errorBody) },
    },
  };
}

function post(summary: string, body: z.ZodType, answer: z.ZodType, status = '200') {
  const requestBody = { required: true, content: { 'application/json': { schema: jsonSchema(body) } } };
  return { post: { summary, requestBody, responses: responses(answer, status) } };
}

function get(summary: string, answer: z.ZodType) {
  return { get: { summary, responses: responses(answer, '200') } };
}

function responses(answer: z.ZodType, status: string) {
  const failure = {
    description: 'An error of the table.',
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
  };
  return {
    [status]: {
      description: 'The answer.',
      content: { 'application/json': { schema: jsonSchema(answer, 'output') } },
    },
    '4XX': failure,
    '5XX': failure,
  };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output' = 'input') {
  const { $schema: _dialect, id: _id, ...rest } = z.toJSONSchema(schema, { io }) as Record<string, unknown>;
  return rest;
}
