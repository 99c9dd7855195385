import { ERROR_CODES } from '@thalamus/errors';
import { z } from 'zod';
import { COMPOSITION_REASONS } from '../../domain/composition-use.js';

const label = z.object({ label: z.string(), score: z.number().describe('Probability, 0 to 1.') });
const cost = z.looseObject({
  name: z.string().describe('Flag.'),
  value: z.number().describe('Cost on the absolute scale of the router model, 0 to 1.'),
  weight: z.number().describe('Lambda in nats; 0 when the cost is shown but was not weighed.'),
});
const ranked = z.looseObject({
  expert: z.string(),
  fittedVersion: z.string(),
  inherited: z.boolean().describe('True when the stable version is another than the fitted one.'),
  predictedLoss: z.number(),
  lossLow: z.number(),
  lossHigh: z.number(),
  costs: z.array(cost),
  total: z.number().describe('predictedLoss + correction + sum of weight * value.'),
  propensity: z.number(),
  correction: z
    .number()
    .optional()
    .describe('What outcomes have taught about predictions for it; absent: 0.'),
});
const decisionFields = {
  ranked: z.array(ranked).describe('Best first.'),
  rejected: z
    .array(z.looseObject({ filter: z.string(), count: z.number(), description: z.string() }))
    .describe('How many experts each hard filter rejected.'),
  abstained: z.boolean(),
  reason: z.string(),
  routerModel: z.string(),
  routerModelVersion: z.string(),
  lossUnit: z.string(),
};
const milliseconds = z.record(z.string(), z.number()).describe('Milliseconds by stage.');
const decision = z.looseObject(decisionFields).describe('thalamus.router.v1.Decision in proto3 JSON.');
const composition = z.object({
  model: z
    .string()
    .describe('What was asked for: compose:a@2+b@1, parents by name with the versions that answer for them.'),
  answered: z
    .enum(['composition', 'parents'])
    .describe('composition, or parents: the router chose one of them for each text.'),
  reason: z.enum(COMPOSITION_REASONS).describe('Why: found or built, else why the parents answered.'),
});
const usage = z.object({ prompt_tokens: z.int(), total_tokens: z.int() });

const model = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.int().describe('Unix time of the stable version, seconds.'),
  owned_by: z.string(),
  thalamus: z.looseObject({ task: z.string(), description: z.string() }),
});

const embedding = z.union([z.array(z.number()), z.string().describe('float32, little-endian, base64.')]);

/** Shapes of the answers, for the OpenAPI document; a test checks that what is answered has them. */
export const answers = {
  classifications: z.object({
    id: z.string().describe('Request id; the id of one text among several is <id>/<index>.'),
    object: z.literal('list'),
    model: z.string(),
    data: z.array(
      z.object({
        object: z.literal('classification'),
        index: z.int(),
        expert: z.string(),
        version: z.string(),
        label: z.string().nullable(),
        scores: z.array(label).describe('Best first.'),
        truncated: z.boolean().describe('True when the expert saw only the first tokens.'),
        decision: decision.optional().describe('Why this expert; when asked for and the router chose.'),
        timings_ms: milliseconds,
      }),
    ),
    usage,
    thalamus: z
      .object({ composition })
      .optional()
      .describe('What became of the composition that was asked for; absent when none was.'),
  }),
  completion: z
    .looseObject({
      choices: z.array(z.looseObject({})),
      usage: z
        .looseObject({ prompt_tokens: z.int(), completion_tokens: z.int().optional() })
        .nullable()
        .optional(),
      thalamus: z
        .object({ expert: z.string(), version: z.string(), decision: decision.optional() })
        .optional()
        .describe('Who answered and why, when asked for.'),
    })
    .describe('The answer of the model as OpenAI has it, and what else the upstream says.'),
  embeddings: z.object({
    object: z.literal('list'),
    data: z.array(z.object({ object: z.literal('embedding'), index: z.int(), embedding })),
    model: z.string(),
    usage,
  }),
  route: z
    .looseObject({
      id: z.string(),
      object: z.literal('decision'),
      ...decisionFields,
      timings_ms: milliseconds,
    })
    .describe('thalamus.router.v1.Decision in proto3 JSON, with id and timings.'),
  feedback: z.object({ id: z.string(), object: z.literal('feedback'), request_id: z.string() }),
  model,
  models: z.object({ object: z.literal('list'), data: z.array(model) }),
  health: z.object({ status: z.literal('alive') }),
  error: z.object({
    error: z.object({
      message: z.string().describe('What is wrong, where, and what to do.'),
      type: z.enum([
        'invalid_request_error',
        'authentication_error',
        'permission_error',
        'rate_limit_error',
        'server_error',
      ]),
      param: z.string().nullable().describe('The faulty field.'),
      code: z.enum(Object.keys(ERROR_CODES) as [string, ...string[]]),
      request_id: z.string().nullable(),
    }),
  }),
} as const;
